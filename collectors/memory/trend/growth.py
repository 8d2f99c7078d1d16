"""Leak detection: distinguish a leak from steps, sawteeth, daily cycles and noise. Pure. Explained in docs/memory.md.

Four tests, because leaks have several speeds, and there is no history after a boot:
- `fast`: the last minutes or hours rose evenly, and by enough that exhaustion is at most `max_extrapolation` times the observed span away.
- `hours`: the last half day rose more than the same hours of the days before did, evenly, jumps taken out.
- `days`: all of the last day lies above the day before, by amounts that are alike.
- `first days`: while there is no earlier day to compare with, half a day that rose evenly by more than any rhythm or warm-up makes.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING

from collectors.memory.last_result import last_result
from collectors.memory.trend.rhythm import LASTING, days, first_days, hours
from collectors.memory.trend.statistics import BLOCKS, Growth, blocks, confidence, length, theil_sen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.memory.trend.window import Point, Window

STUDENT_LESS_ONE = 3.37  # one-sided 99 % of Student's t with 5 degrees of freedom: seven differences, of which the largest is left out
FAST_SPANS = (300.0, 600.0, 1200.0, 2400.0, 3600.0)
SPARSE_SPAN = 5400.0  # where an hour has too few points for its eighths: intervals of 7 to 10 minutes
SLOW_SPANS = (7200.0, 14400.0, 21600.0, 43200.0)
SLOW_NEEDED = 50  # quarters that cover the longest of them
_SIZE = attrgetter("size")


def growth(window: Window, total: int, available: int, max_extrapolation: float) -> Growth:
    """Return the growth of a window by `fast`, else by `steady`, else the plain slope, which is no leak. `total` is MemTotal."""
    return fast(window, total, available, max_extrapolation) or _slow(window.slow, total) or plain(window.fast)


@last_result
def _slow(slow: tuple[Point, ...], total: int) -> Growth | None:
    """Return what depends on the finished quarters alone: it changes when one is added, and takes a millisecond."""
    return steady(slow, total) or (plain(slow[-24:]) if len(slow) >= BLOCKS else None)


def steady(slow: Sequence[Point], total: int, *, young: bool = True) -> Growth | None:
    """Detect slow leaks. Takes a millisecond.

    `young`: also before there is an earlier day. Not for processes: one may well fill its heap for half a day after each start.
    """
    return hours(slow, total) or days(slow, total) or (first_days(slow, total) if young else None)


def plain(points: Sequence[Point]) -> Growth:
    """Return the slope of some points, which is no leak; of many points about 24 are used."""
    return Growth(theil_sen([(p.at, float(p.size)) for p in points[:: max(len(points) // 24, 1)]]), -inf, length(points))


def fast(window: Window, total: int, available: int, max_extrapolation: float) -> Growth | None:
    """Detect growth that exhausts memory soon. The longest span that passes is used; short spans forecast near ends only.

    A step is not growth: the largest of the seven differences is left out, and the other six must agree. Neither is growth that slows
    down, nor a tooth of a sawtooth that was as high before.
    """
    if not window.fast or window.fast[-1].size - min(map(_SIZE, window.fast + window.slow[-SLOW_NEEDED:])) < total * 0.01:
        return None
    newest = window.fast[-1].at
    is_sparse = newest - window.fast[-BLOCKS - 1 :][0].at >= FAST_SPANS[-1]
    fast_spans = (*FAST_SPANS, SPARSE_SPAN) if is_sparse else FAST_SPANS
    for span, points in [(s, window.slow[-SLOW_NEEDED:]) for s in reversed(SLOW_SPANS)] + [(s, window.fast) for s in reversed(fast_spans)]:
        if (levels := blocks([(p.at, float(p.size)) for p in points if p.at > newest - span], newest - span, span)) is None:
            continue
        rises = sorted(b - a for a, b in pairwise(levels))
        if rises[1] <= 0 or sum(rises) < total * 0.01 or levels[7] - levels[4] < LASTING * (levels[3] - levels[0]):
            continue
        if any(p.at <= newest - span and p.size >= levels[-1] for p in points):
            continue  # it was as high before, and fell again
        mean, low = confidence(rises[:-1], STUDENT_LESS_ONE)
        seconds = span / BLOCKS
        if low > 0 and available / (mean / seconds) <= max_extrapolation * span:
            return Growth(mean / seconds, low / seconds, span, "fast")
    return None
