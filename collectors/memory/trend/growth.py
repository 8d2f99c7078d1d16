"""Tells a leak from steps, sawteeth, daily cycles and noise. Pure: points in, a finding out. docs/memory.md explains it.

Four looks, because leaks come at several speeds, and hosts are young at first:
- `fast`: the last minutes or hours rose evenly, and by enough that the end is no more than `max_extrapolation` times as far away as we have watched.
- `hours`: the last half day rose more than the same hours of the days before did, evenly, jumps taken out.
- `days`: all of the last day lies above the day before, by amounts that are alike.
- `first days`: while there is no earlier day to compare with, half a day that rose evenly by more than any rhythm or warm-up makes.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING

from collectors.memory.trend.rhythm import LASTING, days, first_days, hours
from collectors.memory.trend.robust import BLOCKS, Growth, blocks, confidence, length, theil_sen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.memory.trend.window import Point, Window

STUDENT_LESS_ONE = 3.37  # one-sided 99 % of Student's t with 5 degrees of freedom: seven differences, of which the largest is left out
FAST_SPANS = (300.0, 600.0, 1200.0, 2400.0, 3600.0)
SLOW_SPANS = (7200.0, 14400.0, 21600.0, 43200.0)
SLOW_NEEDED = 50  # quarters that cover the longest of them
_HELD = attrgetter("held")


def growth(window: Window, total: int, available: int, max_extrapolation: float) -> Growth:
    """Judge a window: what `fast` says, else what `steady` says, else the plain slope, of which nothing is sure."""
    return fast(window, total, available, max_extrapolation) or steady(window.slow, total) or plain(window)


def steady(slow: Sequence[Point], total: int, *, young: bool = True) -> Growth | None:
    """Look for slow leaks. Changes only when a quarter of an hour is over, so ask only then: it takes a millisecond.

    `young`: also before there is an earlier day. Not for processes: one may well fill its heap for half a day after each start.
    """
    return hours(slow, total) or days(slow, total) or (first_days(slow, total) if young else None)


def plain(window: Window) -> Growth:
    """Give the slope of the last six hours (or of the points there are), of which nothing is sure."""
    points = window.slow[-24:] if len(window.slow) >= BLOCKS else window.fast
    return Growth(theil_sen([(p.at, float(p.held)) for p in points[:: max(len(points) // 24, 1)]]), -inf, length(points))


def fast(window: Window, total: int, available: int, max_extrapolation: float) -> Growth | None:
    """Look for growth that ends soon. The longest span that is sure counts; short spans speak of near ends only.

    A step is not growth: the largest of the seven differences is left out, and the other six must agree. Nor is what slows down, nor a
    tooth of a saw that was as high before.
    """
    if not window.fast or window.fast[-1].held - min(map(_HELD, window.fast + window.slow[-SLOW_NEEDED:])) < total * 0.01:
        return None
    newest = window.fast[-1].at
    for span, points in [(s, window.slow[-SLOW_NEEDED:]) for s in reversed(SLOW_SPANS)] + [(s, window.fast) for s in reversed(FAST_SPANS)]:
        levels = blocks([(p.at, float(p.held)) for p in points], newest - span, span)
        if levels is None:
            continue
        rises = sorted(b - a for a, b in pairwise(levels))
        if rises[1] <= 0 or sum(rises) < total * 0.01 or levels[7] - levels[4] < LASTING * (levels[3] - levels[0]):
            continue
        if any(p.at <= newest - span and p.held >= levels[-1] for p in points):
            continue  # it was as high before, and came down again
        mean, low = confidence(rises[:-1], STUDENT_LESS_ONE)
        seconds = span / BLOCKS
        if low > 0 and available / (mean / seconds) <= max_extrapolation * span:
            return Growth(mean / seconds, low / seconds, span, "fast")
    return None
