"""Follows the largest processes' own memory, so that an ordinary leak is told from one of the kernel's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.procfs import processes
from collectors.memory.reading import Own
from collectors.memory.trend import growth as trend
from collectors.memory.trend.robust import Growth
from collectors.memory.trend.window import Point, Window

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.memory.ledger import Ledger
    from collectors.memory.procfs.processes import Process

TOP = 5
APART = 300.0  # seconds between two looks; one over 2,000 processes takes 30 ms


class Followed:
    """The top few and the window of each; whoever is no longer one of them is forgotten."""

    def __init__(self, proc: Path, page: int) -> None:
        self._proc, self._page = proc, page
        self._known: dict[tuple[int, int], tuple[Process, Window]] = {}
        self._seen: tuple[Own, ...] = ()
        self._at = float("-inf")

    def look(self, now: float, books: Ledger, max_extrapolation: float) -> tuple[Own, ...]:
        """Give the top few as of the last look, with the trend of each."""
        if now - self._at >= APART:
            self._at, known, self._known = now, self._known, {}
            for one in processes.largest(self._proc, self._page, TOP):
                _, window = known.get((one.pid, one.began), (one, Window()))
                self._known[one.pid, one.began] = (one, window.add(Point(now, one.own)))
            self._seen = tuple(Own(process, _growth(window, books, max_extrapolation)) for process, window in self._known.values())
        return self._seen


def _growth(window: Window, books: Ledger, max_extrapolation: float) -> Growth:
    return (
        trend.fast(window, books.total, books.available, max_extrapolation)
        or trend.steady(window.slow, books.total, young=False)
        or Growth()
    )
