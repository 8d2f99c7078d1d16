"""Trends of the largest processes' private memory, so that an ordinary leak is distinguished from one of the kernel's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.memory.last_result import last_result
from collectors.memory.procfs.processes import read_largest, sees_all
from collectors.memory.reading import ProcessWindows
from collectors.memory.trend import growth as trend
from collectors.memory.trend.statistics import Growth
from collectors.memory.trend.window import Point, Window

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.memory.ledger import Ledger
    from collectors.memory.procfs.processes import ProcessMemory

TOP = 5
INTERVAL = 300.0  # seconds; reading 2,000 processes takes 30 ms
SPAN = 36_000.0  # seconds of points as read


@dataclass(frozen=True, slots=True)
class ProcessGrowth:
    """A large process and the trend of its private memory."""

    process: ProcessMemory
    growth: Growth


class ProcessTrends:
    """The windows of the largest processes; one that is no longer among them loses its window."""

    def __init__(self, proc: Path, page: int) -> None:
        self._proc, self._page = proc, page
        self._newest: ProcessWindows | None = None
        self._at = float("-inf")

    def read(self, now: float, ledger: Ledger) -> ProcessWindows:
        """Read the largest processes, at most every five minutes; the same object in between."""
        if self._newest is None or now - self._at >= INTERVAL:
            known = {(p.pid, p.starttime): window for p, window in self._newest.processes} if self._newest else {}
            largest = read_largest(self._proc, self._page, TOP, ledger.total)
            windows = ((p, known.get((p.pid, p.starttime), Window()).add(Point(now, p.private), SPAN)) for p in largest)
            self._at, self._newest = now, ProcessWindows(ledger, tuple(windows), sees_all(self._proc))
        return self._newest


@last_result
def process_growth(read: ProcessWindows, max_extrapolation: float) -> tuple[ProcessGrowth, ...]:
    """Return the trend of each process. Pure; the same `read` is computed once."""
    return tuple(ProcessGrowth(process, _growth(window, read.ledger, max_extrapolation)) for process, window in read.processes)


def _growth(window: Window, ledger: Ledger, max_extrapolation: float) -> Growth:
    return (
        trend.fast(window, ledger.total, ledger.available, max_extrapolation)
        or trend.steady(window.slow, ledger.total, young=False)
        or Growth()
    )
