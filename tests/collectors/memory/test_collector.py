"""The collector as the daemon runs it: over every fixture host, across restarts, without permissions, and while things die under it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.memory.collector import KernelMemory
from collectors.memory.holders import helper as holders
from collectors.memory.holders.scan import Blame
from collectors.memory.settings import MemorySettings
from collectors.memory.trend.history import SIZES
from collectors.model import CollectorContext, Level, Mode, Unavailable
from tests.collectors.memory.hosts import FIXTURES, HOSTS
from tests.kit.leaks import leaking
from tests.kit.slots import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]


def fixture_host(name: str, tmp_path: Path) -> CollectorContext:
    return CollectorContext(FIXTURES / name / "proc", tmp_path, tmp_path)


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.fault(36)
def test_every_fixture_host_has_two_verdicts_and_a_ledger(name: str, tmp_path: Path) -> None:
    collector = KernelMemory(MemorySettings(), fixture_host(name, tmp_path))
    reading = collector.read()
    kernel, process = collector.judge([reading])
    areas = {metric.labels[0]: metric.value for metric in collector.measure(reading) if metric.family.name == "memory_area_bytes"}
    assert {"free", "anonymous", "unaccounted"} <= set(areas)
    assert (kernel.check, process.check) == ("memory_kernel", "memory_process")
    nearly_gone = reading.ledger.available < reading.ledger.total * 0.03
    assert kernel.level is (Level.CRITICAL if nearly_gone else Level.HEALTHY)
    assert list(collector.show([reading]))
    collector.close()


@pytest.mark.fault(37)
def test_a_containers_view_is_unavailable_and_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="run vitald on the host"):
        KernelMemory(MemorySettings(), fixture_host("lxcfs-5.0", tmp_path)).read()


def test_a_restart_forgets_nothing() -> None:
    kept, now = Kept(), [time.clock_gettime(time.CLOCK_BOOTTIME)]
    before = KernelMemory(MemorySettings(), CollectorContext(slot=kept))
    before.clock = lambda: now[0]
    for _ in range(90):
        now[0] += 30
        before.read()
    before.close()
    after = KernelMemory(MemorySettings(), CollectorContext(slot=kept))
    after.clock = lambda: now[0] + 30
    window = after.read().window
    assert len(window.fast) == 91
    assert window.slow
    assert len(window.fast[0].parts) == len(SIZES)
    after.close()


LOOK = """
import json
from dataclasses import replace
from pathlib import Path
from collectors.memory import holders
from collectors.memory.collector import KernelMemory
from collectors.memory.settings import MemorySettings
from collectors.memory.evidence import evidence
from collectors.model import CollectorContext
reading = KernelMemory(MemorySettings(), CollectorContext()).read()
print(json.dumps(evidence(replace(reading, holders=holders.look(Path("/proc"))), 0.0)))
"""  # not by a child: where the interpreter is root's, it could not be started a second time


@pytest.mark.root
@pytest.mark.needs("setpriv")
@pytest.mark.fault(13)
@pytest.mark.parametrize("allowed", [False, True])
def test_without_the_capabilities_the_finding_says_which_would_name_the_holder(*, allowed: bool) -> None:
    """What systemd/drop-ins/holders.conf grants is enough, and one without it sees the sums."""
    capabilities = "+dac_read_search,+sys_ptrace" if allowed else "-all"
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
    words += [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"]
    words += [sys.executable, "-c", LOOK]
    with leaking("tcp", 100) as leaker:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    named = any(f"pid {leaker.pid}" in str(text) for key, text in facts.items() if key.startswith("holder_"))
    assert named is allowed, facts
    assert ("slabinfo" in facts) is not allowed
    if not allowed:
        assert "CAP_DAC_READ_SEARCH" in facts["slabinfo"]
        assert "CAP_SYS_PTRACE" in facts["hidden"]
        assert any("no process that we can see" in str(text) for text in facts.values()), "the sum is there all the same"


@pytest.fixture
def dying() -> Iterator[None]:
    """Processes with sockets that live for milliseconds, four at a time."""
    over = threading.Event()
    code = "import socket; kept = [socket.socketpair() for _ in range(50)]; [a.send(b'x' * 9000) for a, _ in kept]"

    def churn() -> None:
        while not over.is_set():
            subprocess.run([sys.executable, "-ISc", code], check=False)

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()


@pytest.mark.fault(35)
@pytest.mark.usefixtures("dying")
def test_processes_that_die_during_the_join_are_simply_not_there() -> None:
    for _ in range(8):
        found = holders.look(Path("/proc"))
        assert found["processes"] > 1
        assert not found["truncated"]


def test_the_largest_process_is_named_with_its_own_memory_and_its_beginning() -> None:
    code = "import sys; kept = bytearray(b'x' * (600 << 20)); print('ready', flush=True); sys.stdin.read()"
    before = time.time()
    with subprocess.Popen([sys.executable, "-ISc", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as large:
        assert large.stdout is not None
        assert large.stdout.readline() == b"ready\n"
        found = holders.look(Path("/proc"))
        large.kill()
    (one,) = [one for one in found["own"] if one["pid"] == large.pid]
    assert 600 << 20 <= one["size"] < 640 << 20
    assert before - 5 < one["began"] < time.time() + 5


CLOCK_JUMPS = """
import os, time
from collectors.memory.collector import KernelMemory
from collectors.memory.settings import MemorySettings
from collectors.model import CollectorContext
def set_clock(offset):
    with open(os.environ["FAKETIME_TIMESTAMP_FILE"], "w") as file:
        file.write(offset)
collector = KernelMemory(MemorySettings(), CollectorContext())
real = time.time() - time.monotonic()
for offset in ("+0", "+1h", "-1h", "+3650d", "-3650d"):
    set_clock(offset)
    reading = collector.read()
    print(round((time.time() - time.monotonic() - real) / 3600), len(reading.window.fast), len(list(collector.judge([reading]))))
"""


@pytest.mark.needs("faketime")
@pytest.mark.fault(40)
def test_a_wall_clock_that_jumps_is_not_a_gap_in_the_history(tmp_path: Path) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    env = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(tmp_path / "clock"), "FAKETIME_NO_CACHE": "1"}
    (tmp_path / "clock").write_text("+0")
    env |= {**os.environ, **env, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    done = subprocess.run([sys.executable, "-c", CLOCK_JUMPS], cwd=ROOT, capture_output=True, text=True, check=False, env=env, timeout=60)
    rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert rows == [(0, 1, 2), (1, 2, 2), (-1, 3, 2), (87600, 4, 2), (-87600, 5, 2)], done.stderr


def test_a_proc_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    collector = KernelMemory(MemorySettings(), CollectorContext(proc=tmp_path / "nothing", mode=Mode.CHECK))
    with pytest.raises(Unavailable):
        collector.read()
    collector.close()


@pytest.mark.parametrize(
    ("program", "problem"), [("sleep 60", "did not end within"), ("exit 3", "status 3"), ("echo nonsense", "nothing of use")]
)
def test_a_look_that_hangs_or_fails_is_said_and_ended(program: str, problem: str) -> None:
    blame = Blame(Path("/proc"))
    blame._command = ["sh", "-c", program]
    assert blame.start(1000.0)
    assert not blame.start(1010.0), "one at a time"
    assert blame.wait(0.5 if "sleep" in program else 20.0) is None
    assert problem in blame.problem
    assert not blame.start(1299.0), "and no other within five minutes"
    assert blame.start(1301.0)
    blame.close()
