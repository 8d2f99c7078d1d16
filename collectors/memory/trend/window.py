"""Window of the trend: at most 842 points, the newest hour as read and six days as the lowest of each quarter of an hour. Pure.

Both parts are spans of time, whatever the interval of the readings: shorter intervals are thinned to the first point of each `STEP` seconds
and the newest, and longer ones keep at least `LEAST` points.

Times are seconds of CLOCK_BOOTTIME: it advances in suspend, and no change of the wall clock moves it. It restarts with the boot, so
points are stored with the boot id and never mixed.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from collectors.memory.procfs.small_files import LARGEST

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


class Point(NamedTuple):
    """Seconds since boot, bytes, and the areas they are the sum of, in the order of `history.SIZES`."""

    at: float
    size: int
    parts: tuple[int, ...] = ()


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

    def to_json(self) -> dict[str, Any]:
        """Return the window as JSON values."""
        return {
            "fast": [[p.at, p.size, *p.parts] for p in self.fast],
            "slow": [[p.at, p.size, *p.parts] for p in self.slow],
            "lowest": [self.lowest.at, self.lowest.size, *self.lowest.parts] if self.lowest else None,
        }


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


def window_from_json(value: Any, parts: int, now: float) -> Window:  # noqa: ANN401 — what a file held, so anything at all
    """Parse the output of `to_json`; an empty window for anything else. Points later than `now` mean another boot: the window is empty."""
    try:
        fast, slow = _points(value["fast"], parts, now)[-FAST:], _points(value["slow"], parts, now)[-SLOW:]
        lowest = _points([value["lowest"]], parts, now)[0] if value["lowest"] else None
    except (TypeError, ValueError, KeyError, LookupError):
        return Window()
    return Window(fast, slow, lowest)


def _points(rows: Sequence[Any], parts: int, now: float) -> tuple[Point, ...]:
    points: list[Point] = []
    for row in rows:
        at, size, *rest = row
        if type(at) not in {int, float} or len(rest) != parts or any(type(n) is not int or abs(n) > LARGEST for n in (size, *rest)):
            raise ValueError(row)
        if not (points[-1].at if points else -1.0) < at <= now:
            raise ValueError(row)
        points.append(Point(float(at), size, tuple(rest)))
    return tuple(points)
