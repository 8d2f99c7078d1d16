"""Tells a leak from steps, sawteeth, daily cycles and noise. Pure: points in, a finding out. docs/memory.md explains it.

Three looks, because leaks come in three speeds:
- `fast`: the last minutes or hours rose evenly, and by enough that the end is no more than `reach` times as far away as we have watched.
- `hours`: the last half day rose more than the same hours of the days before did, evenly, jumps taken out.
- `days`: all of the last day lies above the day before, by amounts that are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil, inf, sqrt
from typing import TYPE_CHECKING

from collectors.memory.window import DAY, QUARTER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.memory.window import Point, Window

BLOCKS = 8
STUDENT = 5.0  # one-sided 99.9 % of Student's t with BLOCKS - 1 = 7 degrees of freedom is 4.79
STUDENT_LESS_ONE = 3.37  # the same with 5: seven differences, of which the largest is left out
FAST_SPANS = (300.0, 600.0, 1200.0, 2400.0, 3600.0)
SLOW_SPANS = (7200.0, 14400.0, 21600.0, 43200.0)
SLOW_NEEDED = 50  # quarters that cover the longest of them
HOURS = (24, 36, 48)  # quarters: 6, 9 and 12 hours
LEAST = 0.0025  # of MemTotal: what must have been gained before `hours` speaks
LEAST_A_DAY = 0.004  # of MemTotal: what a day must have gained before `days` speaks
SWING_UNKNOWN = 1.3  # the same while we may have seen nothing but a weekend
WEEKDAYS = 5
SWING = 0.65  # of how far the host usually swings in those hours: no two days are alike
LASTING = 0.7  # of the first half's gain must come again in the second half: what warms up slows down
JUMP = 0.0002  # of MemTotal in a quarter of an hour; below it nothing is called a jump


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes a second: the robust `slope`, and the `lower` end of its confidence. `span` is how many seconds were watched.

    `how` names the look that is sure of it: `fast`, `hours`, `days`; empty where none is.
    """

    slope: float = 0.0
    lower: float = 0.0
    span: float = 0.0
    how: str = ""

    @property
    def sure(self) -> bool:
        """Whether this is a leak and not the host's ordinary breathing."""
        return bool(self.how)

    def exhaustion(self, available: int) -> float:
        """Seconds until `available` bytes are gone at this slope; infinite where it is not sure that it grows."""
        return available / self.slope if self.sure and self.slope > 0 else inf


def growth(window: Window, total: int, available: int, reach: float) -> Growth:
    """Judge a window: what `fast` says, else what `steady` says, else the plain slope, of which nothing is sure."""
    return fast(window, total, available, reach) or steady(window.slow, total) or plain(window)


def steady(slow: Sequence[Point], total: int) -> Growth | None:
    """Look for slow leaks. Changes only when a quarter of an hour is over, so ask only then: it takes a millisecond."""
    return hours(slow, total) or days(slow, total)


def plain(window: Window) -> Growth:
    """Give the slope of the last six hours (or of the points there are), of which nothing is sure."""
    points = window.slow[-24:] if len(window.slow) >= BLOCKS else window.fast
    return Growth(theil_sen([(p.at, float(p.held)) for p in points[:: max(len(points) // 24, 1)]]), -inf, _length(points))


def fast(window: Window, total: int, available: int, reach: float) -> Growth | None:
    """Look for growth that ends soon. The longest span that is sure counts; short spans speak of near ends only.

    A step is not growth: the largest of the seven differences is left out, and the other six must agree. Nor is what slows down, nor a
    tooth of a saw that was as high before.
    """
    if not window.fast or window.fast[-1].held - min(p.held for p in window.fast + window.slow[-SLOW_NEEDED:]) < total * 0.01:
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
        if low > 0 and available / (mean / seconds) <= reach * span:
            return Growth(mean / seconds, low / seconds, span, "fast")
    return None


def hours(slow: Sequence[Point], total: int) -> Growth | None:
    """Look for half a day that rose more than the same hours of earlier days did.

    The ordinary rise of each quarter hour, the median of earlier days at that time, is taken off. A daily cycle vanishes, and so
    does a sawtooth, whose teeth all rise alike. What jumps is put back to the middle; what then still rises evenly is a leak.
    """
    rises = _rises(slow)
    if len(rises) <= DAY + HOURS[-1] + 1 or _gaps(slow):
        return None
    excess = _excess(rises, HOURS[-1])
    for length in HOURS:
        rises = excess[-length:]
        swing = SWING if len(slow) > WEEKDAYS * DAY else SWING_UNKNOWN
        least = max(total * LEAST, swing * _swing(slow, length))
        middle = median(rises)
        limit = max(6 * 1.4826 * median([abs(rise - middle) for rise in rises]), total * JUMP)
        even = [rise if abs(rise - middle) <= limit else middle for rise in rises]
        step = length // BLOCKS
        sums = [sum(even[i : i + step]) for i in range(0, length, step)]
        mean, low = confidence(sums, STUDENT)
        gain = mean * BLOCKS
        if low > 0 and gain >= least and sum(sums[BLOCKS // 2 :]) >= LASTING * sum(sums[: BLOCKS // 2]) and _lifted(slow) >= gain / 3:
            seconds = step * QUARTER
            return Growth(mean / seconds, low / seconds, length * QUARTER, "hours")
    return None


def days(slow: Sequence[Point], total: int) -> Growth | None:
    """Look for a whole day of which each quarter hour lies above the same one of the day before, all by amounts that are alike.

    For leaks that are older than the days we compare with. What jumps up is taken out first: a job that began yesterday is not a leak.
    """
    if len(slow) < 2 * DAY + 2 or _gaps(slow[-2 * DAY - 2 :]):
        return None
    rises = _rises(slow[-2 * DAY - 1 :])
    middle = median(rises)
    limit = max(6 * 1.4826 * median([abs(rise - middle) for rise in rises]), total * JUMP)
    levels = list(accumulate(min(rise, middle) if rise - middle > limit else rise for rise in rises))
    gains = sorted(b - a for a, b in zip(levels[:DAY], levels[DAY:], strict=True))
    low, high = gains[DAY // 10], gains[-DAY // 10]
    if low < total * LEAST_A_DAY or high > 2.5 * low:
        return None
    seconds = DAY * QUARTER
    return Growth(median(gains) / seconds, low / seconds, 2 * seconds, "days")


def blocks(series: Sequence[tuple[float, float]], start: float, span: float) -> list[float] | None:
    """Cut a span into eight and give each one's lower quartile: a leak lifts the floor, a burst does not. None where one is empty."""
    cut: list[list[float]] = [[] for _ in range(BLOCKS)]
    for at, value in series:
        if at > start:
            cut[min(ceil((at - start) * BLOCKS / span), BLOCKS) - 1].append(value)
    return [sorted(values)[len(values) // 4] for values in cut] if all(cut) else None


def confidence(values: Sequence[float], student: float) -> tuple[float, float]:
    """Give the mean and the lower end of its confidence interval."""
    mean = sum(values) / len(values)
    spread = sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return mean, mean - student * spread / sqrt(len(values))


def theil_sen(series: Sequence[tuple[float, float]]) -> float:
    """Give the median of the slopes of all pairs (Theil 1950, Sen 1968): up to 29 % of the points may be anything."""
    slopes = [(b - a) / (t - s) for i, (s, a) in enumerate(series) for t, b in series[i + 1 :] if t > s]
    return median(slopes) if slopes else 0.0


def median(values: Sequence[float]) -> float:
    """Give the middle one, the upper of two; half as dear as statistics.median, which we would have to import."""
    return sorted(values)[len(values) // 2]


def _rises(slow: Sequence[Point]) -> list[float]:
    return [float(b.held - a.held) for a, b in pairwise(slow)]


def _excess(rises: Sequence[float], length: int) -> list[float]:
    """Give the newest rises less the usual ones: the median of the earlier days at that time, give or take half an hour.

    Of only two earlier days the one that rose less is the usual one: on the other the host may have been warming up.
    """
    newest = range(len(rises) - length, len(rises))
    around = [[rises[back - 2 : back + 3] for back in range(i - DAY, 1, -DAY)] for i in newest]
    if len(around[0]) <= 2:  # noqa: PLR2004 — two days
        curves = [[median(days[day]) for days in around] for day in range(len(around[0]))]
        usual = min(curves, key=sum)
    else:
        usual = [median([rise for day in days for rise in day]) for days in around]
    return [rises[i] - rise for i, rise in zip(newest, usual, strict=True)]


def _lifted(slow: Sequence[Point]) -> float:
    """Say how far the floor of the last two hours lies above the middle of the same hours on earlier days, in bytes."""
    before = [median([p.held for p in slow[end - 8 : end]]) for end in range(len(slow) - DAY, 7, -DAY)]
    return min(p.held for p in slow[-8:]) - median(before)


def _swing(slow: Sequence[Point], length: int) -> float:
    """Say how far the host went up and down at these hours on its liveliest earlier day, in bytes.

    The lesser of two measures: the levels' own range (large after a step) and that of the smoothed rises (large in a sawtooth).
    """
    found = 0.0
    for end in range(len(slow) - DAY, length + 3, -DAY):
        day = slow[end - length - 3 : end]
        levels = sorted(p.held for p in day)
        rises = _rises(day)
        smooth = list(accumulate(sorted(rises[i : i + 5])[2] for i in range(len(rises) - 4)))
        found = max(found, min(levels[-length // 10] - levels[length // 10], max(smooth) - min(smooth)))
    return found


def _gaps(slow: Sequence[Point]) -> bool:
    """Say whether quarters of an hour are missing: a day ago is then not 96 points ago."""
    return _length(slow) > (len(slow) + 1) * QUARTER


def _length(points: Sequence[Point]) -> float:
    return points[-1].at - points[0].at if points else 0.0
