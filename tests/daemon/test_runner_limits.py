"""The runner without threads, without memory, and under a clock that jumps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NO_THREADS = """
import os, resource, sys, time
import concurrent.futures.thread  # imported before the user changes, who may not be able to read it
from tests.daemon.runs import Counts, Daemon, job
class Second(Counts):
    name = "second"
    def read(self):
        time.sleep(0.2)
        return super().read()
os.setresuid(54321, 54321, 54321)  # RLIMIT_NPROC does not bind root
resource.setrlimit(resource.RLIMIT_NPROC, (3, 3))  # main, scheduler, one worker
daemon = Daemon(first := job(Counts()), second := job(Second()))
deadline = time.monotonic() + 20
while time.monotonic() < deadline and (daemon.runs("counts") < 5 or daemon.runs("second") < 5):
    time.sleep(0.05)
print(daemon.runs("counts") >= 5, daemon.runs("second") >= 5, daemon.beats > 3)
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.fault(48)
@pytest.mark.root
def test_without_threads_collectors_take_turns() -> None:
    done = subprocess.run([sys.executable, "-c", NO_THREADS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "True True True\n", done.stderr
    assert "Traceback" not in done.stderr


NO_MEMORY = """
import os, resource, sys, time
from tests.daemon.runs import Counts, Daemon, job
class Greedy(Counts):
    name = "greedy"
    def read(self):
        bytearray(8 << 30)
        return super().read()
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
daemon = Daemon(greedy := job(Greedy()), job(Counts()))
deadline = time.monotonic() + 20
while time.monotonic() < deadline and (daemon.runs("counts") < 3 or greedy.failures < 3):
    time.sleep(0.05)
print(daemon.runs("counts") >= 3, greedy.failures >= 3)
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.fault(48)
def test_without_memory_a_run_fails_and_the_daemon_lives() -> None:
    done = subprocess.run([sys.executable, "-c", NO_MEMORY], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "True True\n", done.stderr


CLOCK_JUMPS = """
import os, select, sys, time
from tests.daemon.runs import Counts, Daemon, job
def set_clock(offset):
    with open(os.environ["FAKETIME_TIMESTAMP_FILE"], "w") as file:
        file.write(offset)
daemon = Daemon(counted := job(Counts(), 0.2))
real = time.time() - time.monotonic()
for offset in ("+1h", "-1h", "+3650d", "-3650d", "+0"):
    set_clock(offset)
    before, began = counted.collector.runs, time.monotonic()
    while counted.collector.runs < before + 4 and time.monotonic() < began + 15:
        select.select([], [], [], 0.1)  # libfaketime breaks clock_nanosleep(2), which is time.sleep
    storm = (counted.collector.runs - before) / (time.monotonic() - began)
    jumped = round((time.time() - time.monotonic() - real) / 3600)
    print(offset, jumped, counted.collector.runs - before, storm < 10, min(counted.running_seconds(), 0.0))
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.fault(40)
@pytest.mark.needs("faketime")
def test_a_clock_that_jumps_changes_no_interval(tmp_path: Path) -> None:
    (tmp_path / "clock").write_text("+0")
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    env = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(tmp_path / "clock"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    code = [sys.executable, "-c", CLOCK_JUMPS]
    done = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, check=False, env=env, timeout=60)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [(row[0], row[1]) for row in rows] == [("+1h", "1"), ("-1h", "-1"), ("+3650d", "87600"), ("-3650d", "-87600"), ("+0", "0")], (
        done.stderr
    )
    for row in rows:
        assert int(row[2]) >= 4, f"runs go on, whatever the clock says: {rows}"
        assert row[3:] == ["True", "0.0"], f"5 runs a second are due, and no age is negative: {rows}"
