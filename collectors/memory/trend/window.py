"""Window of the trend: at most 842 points, the newest hour as read and six days as the lowest of each quarter of an hour. Pure.

Both parts are spans of time, whatever the interval of the readings: shorter intervals are thinned to the first point of each `STEP` seconds
and the newest, and longer ones keep at least `LEAST` points.

Times are seconds of CLOCK_BOOTTIME: it advances in suspend, and no change of the wall clock moves it. It restarts with the boot, so
points are stored with the boot id and never mixed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, NamedTuple

from msgspec import Meta

from collectors.memory.procfs.small_files import LARGEST
from collectors.state import Seconds  # noqa: TC001 — msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3600.0  # seconds of points as read
STEP = 15.0  # seconds of which the first point is kept: an eighth of the shortest span (300 s) has one, at any interval up to 37 s
LEAST = 12  # points as read, however old: an interval of ten minutes has six in an hour
FAST = 242  # points as read, at most
SLOW = 600  # quarters of an hour: six days and six hours
QUARTER = 900.0  # seconds
DAY = 96  # quarters
_AT = attrgetter("at")


Size = Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]  # bytes


class Point(NamedTuple):
    """Seconds since boot, bytes, and the areas they are the sum of, in the order of `history.SIZES`."""

    at: Seconds
    size: Size
    parts: tuple[Size, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """The points, oldest first. `lowest` is that of the quarter of an hour in progress. The newest of `fast` is always the newest read."""

    fast: tuple[Point, ...] = ()
    slow: tuple[Point, ...] = ()
    lowest: Point | None = None

    def add(self, point: Point, span: float = HOUR) -> Window:
        """Return the window with one more point, `span` seconds of them as read. One not newer than the last starts a new window."""
        if self.fast and point.at <= self.fast[-1].at:
            return Window((point,), (), point)
        kept = self.fast[:-1] if len(self.fast) > 1 and self.fast[-2].at // STEP == self.fast[-1].at // STEP else self.fast
        oldest = min(bisect_right(kept, point.at - span, key=_AT), max(len(kept) - LEAST + 1, 0))
        fast = (*kept[max(oldest, len(kept) - FAST + 1) :], point)
        if self.lowest is None or self.lowest.at // QUARTER == point.at // QUARTER:
            lowest = point if self.lowest is None or point.size < self.lowest.size else self.lowest
            return Window(fast, self.slow, lowest)
        finished = _between(self.lowest, point)
        return Window(fast, (*self.slow, *finished)[-SLOW:] if finished else (), point)


def _between(last: Point, new: Point) -> tuple[Point, ...]:
    """Return the finished quarter, and a straight line over missed ones, so that a restart keeps the history. A missed day ends it."""
    missed = int(new.at // QUARTER - last.at // QUARTER) - 1
    if missed > DAY:
        return ()
    line = []
    for i in range(1, missed + 1):
        part = i / (missed + 1)
        parts = tuple(_mix(old, newer, part) for old, newer in zip(last.parts, new.parts, strict=False))
        line.append(Point((last.at // QUARTER + i + 0.5) * QUARTER, _mix(last.size, new.size, part), parts))
    return (last, *line)


def _mix(first: int, second: int, part: float) -> int:
    return round(first + (second - first) * part)


def ascending(points: Sequence[Point], now: float) -> tuple[Point, ...]:
    """Return the longest part of saved points whose times ascend and are not later than `now`, which would mean another boot."""
    ends: list[float] = []  # of the longest part of each length the lowest end
    lengths: list[int] = []
    for point in points:
        length = bisect_left(ends, point.at) if point.at <= now else -1
        ends[max(length, 0) : length + 1] = [point.at] if length >= 0 else []
        lengths.append(length)
    kept: list[Point] = []
    wanted, before = len(ends) - 1, inf
    for point, length in zip(reversed(points), reversed(lengths), strict=True):
        if length == wanted >= 0 and point.at < before:
            kept.append(point)
            wanted, before = wanted - 1, point.at
    return tuple(reversed(kept))
