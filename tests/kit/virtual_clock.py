"""Runner, board and self metrics under a virtual clock, driven by random programs: `python -m tests.kit.virtual_clock STEPS [SEED]`.

The daemon's modules run unchanged: only their module `time`, the scheduler's thread and the thread pool are others. A run is a thread that
goes on when the clock reaches its time, and never beside another one, so that a seed gives the same program each time.
"""

from __future__ import annotations

import datetime as dt
import random
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

from apscheduler.executors.base import BaseExecutor, run_job
from apscheduler.schedulers.base import BaseScheduler

from collectors.collector import Collector
from collectors.model import Family, Kind, Level, Metric, Unavailable, Verdict
from collectors.settings import Duration, Settings
from daemon import board as board_module
from daemon import job as job_module
from daemon import monotonic, runner, self_metrics
from tests.kit.slots import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

READ_AT = Family("virtual_read_at", Kind.GAUGE, "Time of the read.")
NAMES = ("a", "b", "c", "d", "e")
SLACK = 0.3  # seconds: the pause between two runs of a woken collector
MODULES = (board_module, job_module, monotonic, runner, self_metrics)


class Fiber:
    """A thread that runs only while its world waits for it."""

    def __init__(self, target: Callable[[], None]) -> None:
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self.until = 0.0
        self.is_ready: Callable[[], bool] = lambda: True
        self.is_ended = False
        self.error: BaseException | None = None
        self._target = target
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        self._go.acquire()
        try:
            self._target()
        except BaseException as error:  # noqa: BLE001 — raised by resume()
            self.error = error
        self.is_ended = True
        self._back.release()

    def resume(self) -> None:
        """Run until it pauses or ends."""
        self._go.release()
        self._back.acquire()
        if self.error is not None:
            raise self.error

    def pause(self) -> None:
        """Return to the world; called by the fiber itself."""
        self._back.release()
        self._go.acquire()


class Event(threading.Event):
    """An event whose wait takes virtual time."""

    world: World

    def wait(self, timeout: float | None = None) -> bool:
        """Wait as a fiber."""
        if not self.is_set() and self.world.current is not None:
            self.world.sleep(timeout or 0.0, self.is_set)
        return self.is_set()


class Pool(BaseExecutor):  # type: ignore[misc]  # apscheduler 3 is untyped
    """Thread pool whose threads are fibers."""

    world: World

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def _do_submit_job(self, job: Any, run_times: Any) -> None:
        def run() -> None:
            self._run_job_success(job.id, run_job(job, job._jobstore_alias, run_times, self._logger.name))

        self.world.fibers.append(Fiber(run))


class Scheduler(BaseScheduler):  # type: ignore[misc]
    """Scheduler without a thread."""

    world: World

    def start(self, *_: Any) -> None:
        """Run what is due at once."""
        super().start()
        self.world.scheduler = self
        self.world.settle()

    def wakeup(self) -> None:
        """Do nothing: the world processes the jobs at each step."""

    def shutdown(self, *_: Any) -> None:
        """Do nothing."""


class VirtualSettings(Settings, frozen=True, kw_only=True):
    """Settings of a virtual collector; `version` differs after a reload that changes them."""

    interval: Duration = Duration(5.0)
    version: int = 0


@dataclass(frozen=True)
class VirtualReading:
    """Wall-clock time of the read, and the levels of its subjects."""

    name: str
    at: float
    levels: tuple[Level, ...]


class VirtualCollector(Collector[VirtualReading]):
    """A collector that succeeds, fails, hangs, is unavailable or returns the same reading again, at random."""

    name = "virtual"
    Settings = VirtualSettings
    inputs: tuple[str, ...] = ()  # type: ignore[misc]

    def __init__(self, settings: VirtualSettings, world: World, name: str) -> None:
        self.settings, self.world = settings, world
        self.name = name  # type: ignore[misc]
        self.inputs = ("a",) if name == "b" else ()
        self.active = 0
        self.ended = -1e9  # monotonic
        self.newest: VirtualReading | None = None

    def read(self) -> VirtualReading:
        """Act as the dice say."""
        self.active += 1
        assert self.active == 1, f"{self.name} runs twice at once"
        self.world.counts["runs"] += 1
        try:
            return self._act(self.world.dice.random())
        finally:
            self.active -= 1
            self.ended = self.world.monotonic()

    def _act(self, chance: float) -> VirtualReading:
        dice = self.world.dice
        if chance < 0.1:
            self.world.counts["hangs"] += 1
            self.world.sleep(dice.choice([0.2, 3.0, 20.0, 400.0]))
        if chance > 0.9:
            self.world.counts["failures"] += 1
            raise OSError("virtual")
        if chance > 0.85:
            raise Unavailable("missing", "virtual")
        if self.newest is None or chance > 0.4:
            levels = tuple(dice.choice(list(Level)) for _ in range(dice.randrange(1, 4)))
            self.newest = VirtualReading(self.name, self.world.time(), levels)
        return self.newest

    @staticmethod
    def judge(readings: Sequence[VirtualReading], settings: VirtualSettings) -> Iterator[Verdict]:  # noqa: ARG004
        """Yield a verdict for each level."""
        for number, level in enumerate(readings[-1].levels):
            yield Verdict("virtual", f"{readings[-1].name}{number}", level, "message")

    @staticmethod
    def measure(reading: VirtualReading, settings: VirtualSettings) -> Iterator[Metric]:  # noqa: ARG004
        """Return the time of the read."""
        yield Metric(READ_AT, reading.at)


class World:
    """The clocks, the runs in progress, and what must hold after each step."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311
        self.counts: Counter[str] = Counter()
        self.fibers: list[Fiber] = []
        self.current: Fiber | None = None
        self.scheduler: Scheduler | None = None
        self._monotonic, self._boottime, self._wall = 1000.0, 1000.0, 1.8e9
        self._since: dict[tuple[str, str], tuple[Level, float]] = {}
        self._patches = ExitStack()
        self._patch()
        self.slot = Kept()
        self.board = board_module.Board(self.slot)
        self.heartbeats = 0
        self.runner = runner.Runner(self.board, self._heartbeat)
        self.jobs: dict[str, job_module.CollectorJob] = {name: self._job(name) for name in NAMES[:3]}
        self.runner.start(self.jobs)

    def _patch(self) -> None:
        for kind in (Event, Pool, Scheduler):
            kind.world = self
        clock = mock.Mock(wraps=time)
        clock.monotonic, clock.time, clock.clock_gettime = self.monotonic, self.time, lambda _: self._boottime
        for module in MODULES:
            self._patches.enter_context(mock.patch.object(module, "time", clock))
        self._patches.enter_context(mock.patch.object(runner, "BackgroundScheduler", Scheduler))
        self._patches.enter_context(mock.patch.object(runner, "_Executor", Pool))
        self._patches.enter_context(mock.patch.object(monotonic, "_OFFSET", dt.timedelta(seconds=17)))
        self._patches.enter_context(mock.patch.object(board_module.log, "log"))

    def close(self) -> None:
        """End the runs in progress, and restore the modules."""
        self.runner.stop()
        while self.fibers:
            self._monotonic += 500.0
            self._run_ready()
        self._patches.close()

    def monotonic(self) -> float:
        """Return CLOCK_MONOTONIC."""
        return self._monotonic

    def time(self) -> float:
        """Return CLOCK_REALTIME."""
        return self._wall

    def sleep(self, seconds: float, is_ready: Callable[[], bool] = lambda: False) -> None:
        """Pause the run in progress."""
        fiber = self.current
        assert fiber is not None
        fiber.until, fiber.is_ready = self._monotonic + seconds, is_ready
        fiber.pause()

    def _heartbeat(self) -> None:
        self.heartbeats += 1

    def _job(self, name: str) -> job_module.CollectorJob:
        settings = VirtualSettings(interval=Duration(self.dice.choice([1.0, 5.0, 30.0])), version=self.dice.randrange(3))
        job = job_module.CollectorJob(VirtualCollector(settings, self, name), settings)
        job.has_read = Event()
        return job

    def settle(self) -> float:
        """Start what is due, run what can go on, and return the seconds until something else is due."""
        assert self.scheduler is not None
        wait = self.scheduler._process_jobs()
        while self._run_ready():
            wait = self.scheduler._process_jobs()
        ends = [fiber.until - self._monotonic for fiber in self.fibers]
        return max(0.001, min([3600.0 if wait is None else wait, *ends]))

    def _run_ready(self) -> bool:
        ready = [fiber for fiber in self.fibers if fiber.until <= self._monotonic or fiber.is_ready()]
        for fiber in ready:
            self.current = fiber
            fiber.resume()
            self.current = None
        self.fibers = [fiber for fiber in self.fibers if not fiber.is_ended]
        return bool(ready)

    def advance(self, seconds: float) -> None:
        """Advance the clocks, from event to event."""
        end = self._monotonic + seconds
        while self._monotonic < end:
            step = min(self.settle(), end - self._monotonic)
            self._monotonic += step
            self._wall += step
            self._boottime += step
            self.settle()
            self.check()

    def step(self) -> None:
        """Do one random thing."""
        dice = self.dice
        action = dice.choice(["tick"] * 6 + ["step clock", "suspend", "reload", "scrape", "scrape", "wake", "save"])
        self.counts[action] += 1
        if action == "tick":
            self.advance(dice.choice([0.01, 0.3, 1.0, 5.0, 31.0]))
        elif action == "step clock":
            self._wall = max(1e9, min(3e9, self._wall + dice.choice([-3600.0, 3600.0, -3e8, 3e8, -0.5, 0.5])))
        elif action == "suspend":  # CLOCK_MONOTONIC does not count it
            slept = dice.choice([60.0, 86_400.0])
            self._wall, self._boottime = self._wall + slept, self._boottime + slept
        elif action == "reload":
            self._reload()
        elif action == "scrape":
            self.scrape()
        elif action == "wake":
            self.runner._waker._on_readable(dice.choice(NAMES))
        else:
            self.board.save()
        self.settle()
        self.check()

    def _reload(self) -> None:
        chosen = [name for name in NAMES if self.dice.random() < 0.7]
        jobs = {name: self.jobs[name] if name in self.jobs and self.dice.random() < 0.7 else self._job(name) for name in chosen}
        self.runner.replace(jobs)
        self.jobs = jobs

    def scrape(self) -> None:
        """Read all that a scrape reads, and check the times in it."""
        for report in self.board.reports():
            (metric,) = report.metrics
            assert metric.value == report.at, "a scrape is older than it says"
        for job in self.runner.jobs():
            collector: Any = job.collector
            assert job.running_seconds() == (0.0 if job.running_since is None else self._monotonic - job.running_since)
            assert bool(collector.active) <= (job.running_since is not None)
        list(self.board.findings())

    def check(self) -> None:
        """Check what must always hold."""
        reports = {report.collector: report for report in self.board.reports()}
        assert reports.keys() <= self.jobs.keys(), "a removed collector has a report"
        for name, report in reports.items():
            newest = self.jobs[name].history[-1]
            assert report.metrics[0].value == newest.at == report.at, "a report is not of the newest reading"
        for job in self.jobs.values():
            collector: Any = job.collector
            idle = self._monotonic - max(collector.ended, job.last_start)
            longest = 1.5 * float(job.settings.interval) + SLACK
            assert job.running_since is not None or idle <= longest, f"{job.name} is starved: {idle:.1f} s"
        assert self.heartbeats >= (self._monotonic - 1000.0) / (1.5 * runner.HEARTBEAT_SECONDS) - 1
        self._check_since(reports)

    def _check_since(self, reports: Any) -> None:
        seen: dict[tuple[str, str], tuple[Level, float]] = {}
        for name, report in reports.items():
            for verdict in report.verdicts:
                since = self.board.since(verdict)
                before = self._since.get((name, verdict.subject))
                assert since <= self._wall, "a time of the future"
                if before is not None and before[0] == verdict.level and before[1] <= self._wall:
                    assert since == before[1], f"since moved by {since - before[1]:.3f} s"
                seen[name, verdict.subject] = (verdict.level, since)
        self._since = seen


def run(steps: int, seed: int) -> Counter[str]:
    """Run a program; return what was done, by kind."""
    world = World(seed)
    try:
        for _ in range(steps):
            world.step()
    finally:
        world.close()
    return world.counts


if __name__ == "__main__":
    began, total = time.perf_counter(), Counter[str]()
    count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for number in range(max(1, count // 1000)):
        total += run(min(count, 1000), first + number)
    print(f"{count} steps, 0 violations, {time.perf_counter() - began:.0f} s:", *(f"{name}={total[name]}" for name in sorted(total)))
