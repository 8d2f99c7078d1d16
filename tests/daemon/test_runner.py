import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from collectors.collector import Collector
from collectors.model import Family, Host, Kind, Level, Metric, NoSlot, Unavailable, Verdict
from collectors.settings import Duration, Settings
from daemon.board import Board
from daemon.runner import WAKE_GAP_SECONDS, Runner
from daemon.track import Track

ROOT = Path(__file__).parents[2]
RUNS = Family("test_runs", Kind.COUNTER, "Runs.")


@dataclass(frozen=True)
class Reading:
    runs: int


class Counts(Collector[Reading]):
    """Works, and counts its runs."""

    name = "counts"
    Settings = Settings
    keep = 3

    def __init__(self, settings: Any = None, host: Host | None = None) -> None:
        self.runs = 0
        self.closed = False
        del settings, host

    def read(self) -> Reading:
        self.runs += 1
        return Reading(self.runs)

    def judge(self, readings: Sequence[Reading]) -> Iterator[Verdict]:
        yield Verdict("counting", "runs", Level.HEALTHY, str([r.runs for r in readings]))

    def measure(self, reading: Reading) -> Iterator[Metric]:
        yield Metric(RUNS, reading.runs)

    def close(self) -> None:
        self.closed = True


class Fails(Counts):
    name = "fails"

    def read(self) -> Reading:
        raise RuntimeError("the disk is on fire")


class Absent(Counts):
    name = "absent"

    def read(self) -> Reading:
        raise Unavailable("missing", "this host has no such thing")


class Hangs(Counts):
    """Opens a FIFO that nobody writes to: it hangs in the kernel, as on a dead mount."""

    name = "hangs"

    def __init__(self, fifo: Path) -> None:
        super().__init__()
        self.fifo = fifo

    def read(self) -> Reading:
        super().read()
        with self.fifo.open("rb") as file:
            file.read()
        return Reading(self.runs)


def track(collector: Counts, every: float = 0.1) -> Track:
    return Track(collector, Settings(every=Duration(every)))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


class Daemon:
    """A board and a runner with these tracks."""

    def __init__(self, *tracks: Track) -> None:
        self.board = Board(NoSlot())
        self.beats = 0
        self.runner = Runner(self.board, self.beat, 0.1)
        self.runner.start({t.name: t for t in tracks})

    def beat(self) -> None:
        self.beats += 1

    def runs(self, name: str) -> int:
        found = {report.collector: report for report in self.board.reports()}
        value = found[name].metrics[0].value if name in found else 0
        assert isinstance(value, int)
        return value


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    started: list[Daemon] = []

    def make(*tracks: Track) -> Daemon:
        started.append(Daemon(*tracks))
        return started[-1]

    yield make
    for daemon in started:
        daemon.runner.stop()
    for fifo in tmp_path.glob("fifo"):
        os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))  # lets go of whoever waits: the interpreter joins its threads


Start = Callable[..., Daemon]


def test_a_collector_runs_again_and_again_with_its_history(start: Start) -> None:
    daemon = start(track(Counts()))
    until(lambda: daemon.runs("counts") >= 5)
    numbers = daemon.board.reports()[0].verdicts[0].message
    assert len(numbers.split(",")) == 3


@pytest.mark.fault(1)
def test_one_that_raises_leaves_the_others_alone(start: Start) -> None:
    daemon = start(bad := track(Fails()), track(Counts()))
    until(lambda: daemon.runs("counts") >= 3 and bad.failures >= 2)
    assert bad.success is False
    assert [report.collector for report in daemon.board.reports()] == ["counts"]


@pytest.mark.fault(1)
def test_one_that_raises_in_judging_or_measuring_is_a_failure_too(start: Start) -> None:
    class Misjudges(Counts):
        def judge(self, readings: Sequence[Reading]) -> Iterator[Verdict]:
            raise ZeroDivisionError(len(readings))

    daemon = start(bad := track(Misjudges()))
    until(lambda: bad.failures >= 2)
    assert daemon.board.reports() == ()


@pytest.mark.fault(2)
def test_one_that_hangs_in_its_first_run_is_seen_and_started_once(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    daemon = start(stuck := track(Hangs(tmp_path / "fifo")), track(Counts()))
    until(lambda: daemon.runs("counts") >= 5 and stuck.skipped >= 3)
    assert stuck.running_seconds() > 0.2
    assert stuck.collector.runs == 1  # type: ignore[attr-defined]  # Counts has it
    assert stuck.success is False
    assert [t.name for t in daemon.runner.tracks()] == ["hangs", "counts"]
    (tmp_path / "fifo").write_bytes(b"")  # the mount is back
    until(lambda: stuck.success)


def test_a_host_that_has_no_such_thing_is_no_failure(start: Start) -> None:
    start(absent := track(Absent()))
    until(lambda: absent.last_success is not None)
    assert absent.success
    assert absent.failures == 0
    assert absent.unavailable is not None
    assert absent.unavailable.reason == "missing"


def test_a_collector_whose_settings_did_not_change_keeps_its_history(start: Start) -> None:
    kept, old, new = track(Counts()), track(Fails()), track(Absent())
    daemon = start(kept, old)
    until(lambda: daemon.runs("counts") >= 3)
    daemon.runner.replace({"counts": kept, "absent": new})
    until(new.begun.is_set)
    assert old.collector.closed  # type: ignore[attr-defined]  # Counts has it
    assert daemon.runs("counts") >= 3
    assert {t.name for t in daemon.runner.tracks()} == {"counts", "absent"}


def test_what_a_replaced_collector_says_late_is_not_published(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    old = track(Hangs(tmp_path / "fifo"))
    daemon = start(old)
    daemon.runner.replace({})
    (tmp_path / "fifo").write_bytes(b"")
    until(lambda: old.success)
    assert daemon.board.reports() == ()


def test_a_collector_that_will_not_close_stops_nothing(start: Start) -> None:
    class Clings(Counts):
        def close(self) -> None:
            raise OSError("no")

    daemon = start(clings := track(Clings()))
    daemon.runner.replace({})
    assert clings.retired


@pytest.mark.fault(12)
def test_the_heart_beats_in_the_schedulers_thread_and_stops_with_it(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    daemon = start(track(Hangs(tmp_path / "fifo")))
    until(lambda: daemon.beats >= 3)  # a hung collector is not a stuck scheduler
    threads: list[str] = []
    daemon.runner._scheduler.add_job(lambda: threads.append(threading.current_thread().name), executor="inline", misfire_grace_time=None)
    until(lambda: bool(threads))
    assert threads == ["APScheduler"]
    with daemon.runner._scheduler._jobstores_lock:  # stuck: it waits for ever
        time.sleep(0.3)
        before = daemon.beats
        time.sleep(0.5)
        assert daemon.beats <= before + 1
    until(lambda: daemon.beats > before + 2)


NO_THREADS = """
import os, resource, sys, time
import concurrent.futures.thread  # what is imported late would be read as the other user
from tests.daemon.test_runner import Counts, Daemon, track
class Second(Counts):
    name = "second"
    def read(self):
        time.sleep(0.2)
        return super().read()
os.setresuid(54321, 54321, 54321)  # RLIMIT_NPROC does not bind root
resource.setrlimit(resource.RLIMIT_NPROC, (3, 3))  # main, scheduler, one worker
daemon = Daemon(first := track(Counts()), second := track(Second()))
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


NO_MEMORY = """
import os, resource, sys, time
from tests.daemon.test_runner import Counts, Daemon, track
class Greedy(Counts):
    name = "greedy"
    def read(self):
        bytearray(8 << 30)
        return super().read()
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
daemon = Daemon(greedy := track(Greedy()), track(Counts()))
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
from tests.daemon.test_runner import Counts, Daemon, track
def set_clock(offset):
    with open(os.environ["FAKETIME_TIMESTAMP_FILE"], "w") as file:
        file.write(offset)
daemon = Daemon(counted := track(Counts(), 0.2))
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


class Woken(Counts):
    """Runs when somebody writes into its pipe; `deaf` leaves it unread."""

    name = "woken"

    def __init__(self, settings: Any = None, host: Host | None = None) -> None:
        super().__init__(settings, host)
        self.pipe, self.writer = os.pipe()
        os.set_blocking(self.pipe, False)
        self.deaf = False

    def read(self) -> Reading:
        if not self.deaf:
            with contextlib.suppress(BlockingIOError):
                os.read(self.pipe, 4096)
        return super().read()

    def wakes(self) -> tuple[int, ...]:
        return (self.pipe,)


def test_a_readable_descriptor_wakes_its_collector_long_before_its_next_tick(start: Start) -> None:
    woken = Woken()
    start(track(woken, every=3600))
    until(lambda: woken.runs == 1)
    for runs in (2, 3, 4):
        os.write(woken.writer, b"x")
        until(lambda runs=runs: woken.runs == runs)  # type: ignore[misc]  # mypy cannot infer a lambda's default


def test_a_collector_that_does_not_drain_its_descriptor_runs_four_times_a_second_at_most(start: Start) -> None:
    woken = Woken()
    woken.deaf = True
    start(track(woken, every=3600))
    began = time.monotonic()
    os.write(woken.writer, b"x")
    until(lambda: woken.runs >= 4)
    assert woken.runs <= 2 + (time.monotonic() - began) / WAKE_GAP_SECONDS


def test_a_descriptor_closed_under_us_wakes_nobody_and_breaks_nothing(start: Start) -> None:
    woken, counts = Woken(), Counts()
    start(track(woken), track(counts))
    until(lambda: woken.runs >= 1)
    os.close(woken.pipe)
    before = counts.runs
    until(lambda: counts.runs >= before + 3)
