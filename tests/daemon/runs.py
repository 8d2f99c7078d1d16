"""Collectors that count, fail, are unavailable or hang, and a runner for them."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collectors.collector import Collector
from collectors.model import CollectorContext, Family, Kind, Level, Metric, NoSlot, Unavailable, Verdict
from collectors.settings import Duration, Settings
from daemon.board import Board
from daemon.job import CollectorJob
from daemon.runner import Runner

RUNS = Family("test_runs", Kind.COUNTER, "Runs.")


@dataclass(frozen=True)
class CountReading:
    runs: int


class Counts(Collector[CountReading]):
    """Collector that counts its runs."""

    name = "counts"
    Settings = Settings
    keep = 3

    def __init__(self, settings: Any = None, context: CollectorContext | None = None) -> None:
        self.runs = 0
        self.closed = False
        del settings, context

    def read(self) -> CountReading:
        self.runs += 1
        return CountReading(self.runs)

    @staticmethod
    def judge(readings: Sequence[CountReading], _settings: Any, /) -> Iterator[Verdict]:
        yield Verdict("counting", "runs", Level.HEALTHY, str([r.runs for r in readings]))

    @staticmethod
    def measure(reading: CountReading, _settings: Any, /) -> Iterator[Metric]:
        yield Metric(RUNS, reading.runs)

    def close(self) -> None:
        self.closed = True


class Fails(Counts):
    name = "fails"

    def read(self) -> CountReading:
        raise RuntimeError("read error")


class Absent(Counts):
    name = "absent"

    def read(self) -> CountReading:
        raise Unavailable("missing", "not on this host")


class Hangs(Counts):
    """Collector that opens a FIFO without a writer: it hangs in the kernel, as on a dead mount."""

    name = "hangs"

    def __init__(self, fifo: Path) -> None:
        super().__init__()
        self.fifo = fifo

    def read(self) -> CountReading:
        super().read()
        with self.fifo.open("rb") as file:
            file.read()
        return CountReading(self.runs)


def job(collector: Counts, interval: float = 0.1) -> CollectorJob:
    return CollectorJob(collector, Settings(interval=Duration(interval)))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)


class Daemon:
    """A board and a runner with these jobs."""

    def __init__(self, *jobs: CollectorJob) -> None:
        self.board = Board(NoSlot())
        self.beats = 0
        self.runner = Runner(self.board, self.beat, 0.1)
        self.runner.start({job.name: job for job in jobs})

    def beat(self) -> None:
        self.beats += 1

    def runs(self, name: str) -> int:
        found = {report.collector: report for report in self.board.reports()}
        value = found[name].metrics[0].value if name in found else 0
        assert isinstance(value, int)
        return value


Start = Callable[..., Daemon]
