"""Slow leaks against the rhythm of days: the tests `hours`, `days` and `first days` of growth.py. Pure."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from collectors.memory.trend.statistics import BLOCKS, Growth, confidence, length, median
from collectors.memory.trend.window import DAY, QUARTER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.memory.trend.window import Point

STUDENT = 4.2  # one-sided 99.8 % of Student's t with BLOCKS - 1 = 7 degrees of freedom
HOURS = (24, 32, 40, 48)  # quarters: 6, 8, 10 and 12 hours, each of eight blocks
LEAST = 0.0025  # of MemTotal: the smallest gain that `hours` reports
LEAST_A_DAY = 0.004  # of MemTotal: the smallest gain of a day that `days` reports
BEYOND = 0.025  # of MemTotal in half a day: caches that fill after boot and a day's swing together stay below it
NOT_SLOWING = 0.85  # of the first half's gain must come again in the second half, where no earlier day shows the warm-up
SWING = 0.65  # of how far the host usually swings in those hours: no two days are alike
SWING_UNKNOWN = 1.3  # the same while the history may contain nothing but a weekend
WEEKDAYS = 5
LASTING = 0.7  # of the first half's gain must come again in the second half: what warms up slows down
LIFTED = 0.6  # of the gain must be above the floor of earlier days: a return from a low is no leak
JUMP = 0.0002  # of MemTotal in a quarter of an hour; below it nothing is called a jump


def first_days(slow: Sequence[Point], total: int) -> Growth | None:
    """Detect growth beyond any rhythm or warm-up, while there is no earlier day to compare with.

    Even over half a day, not slowing down, and by more than caches fill and days swing: so of the slow leaks only the quicker ones.
    """
    if len(slow) > DAY + HOURS[-1] + 2 or _gaps(slow):
        return None
    for span in HOURS:
        if len(slow) <= span:
            break
        sums = _even_sums(_rises(slow[-span - 1 :]), total)
        mean, low = confidence(sums, STUDENT)
        gain = mean * BLOCKS
        if low > 0 and gain >= BEYOND * total and sum(sums[BLOCKS // 2 :]) >= NOT_SLOWING * sum(sums[: BLOCKS // 2]):
            seconds = span // BLOCKS * QUARTER
            return Growth(mean / seconds, low / seconds, span * QUARTER, "first days")
    return None


def hours(slow: Sequence[Point], total: int) -> Growth | None:
    """Detect half a day that rose more than the same hours of earlier days did.

    The ordinary rise of each quarter hour, the median of earlier days at that time, is subtracted. That removes a daily cycle, and a
    sawtooth, whose teeth all rise alike. Jumps are replaced by the median; an even rise that is left is a leak.
    """
    rises = _rises(slow)
    if len(rises) <= DAY + HOURS[-1] + 1 or _gaps(slow):
        return None
    excess = _excess(rises, HOURS[-1])
    swing = SWING if len(slow) > WEEKDAYS * DAY else SWING_UNKNOWN
    for span in HOURS:
        sums = _even_sums(excess[-span:], total)
        mean, low = confidence(sums, STUDENT)
        gain = mean * BLOCKS
        if (
            low > 0
            and gain >= total * LEAST
            and sum(sums[BLOCKS // 2 :]) >= LASTING * sum(sums[: BLOCKS // 2])
            and _lifted(slow) >= max(LIFTED * gain, total * LEAST)
            and gain >= swing * _swing(slow, span)  # last: it costs most
        ):
            seconds = span // BLOCKS * QUARTER
            return Growth(mean / seconds, low / seconds, span * QUARTER, "hours")
    return None


def days(slow: Sequence[Point], total: int) -> Growth | None:
    """Detect a whole day of which each quarter hour is above the same one of the day before, all by similar amounts.

    For leaks that are older than the days compared with. Jumps are removed first: a job that began yesterday is not a leak.
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


def _even_sums(rises: Sequence[float], total: int) -> list[float]:
    """Return the sums of rises in eight blocks; jumps are replaced by the median first."""
    middle = median(rises)
    limit = max(6 * 1.4826 * median([abs(rise - middle) for rise in rises]), total * JUMP)
    even = [rise if abs(rise - middle) <= limit else middle for rise in rises]
    step = len(rises) // BLOCKS
    return [sum(even[i : i + step]) for i in range(0, len(rises), step)]


def _rises(slow: Sequence[Point]) -> list[float]:
    return [float(b.size - a.size) for a, b in pairwise(slow)]


def _excess(rises: Sequence[float], span: int) -> list[float]:
    """Return the newest rises less the usual ones: the median of the earlier days at that time, plus or minus half an hour.

    Of only two earlier days the one that rose less is the usual one: the other may contain a warm-up.
    """
    newest = range(len(rises) - span, len(rises))
    around = [[rises[back - 2 : back + 3] for back in range(i - DAY, 1, -DAY)] for i in newest]
    if len(around[0]) <= 2:  # noqa: PLR2004 — two days
        curves = [[median(days[day]) for days in around] for day in range(len(around[0]))]
        usual = min(curves, key=sum)
    else:
        usual = [median([rise for day in days for rise in day]) for days in around]
    return [rises[i] - rise for i, rise in zip(newest, usual, strict=True)]


def _lifted(slow: Sequence[Point]) -> float:
    """Return how far the floor of the last two hours is above the median of the same hours on earlier days, in bytes."""
    before = [median([p.size for p in slow[end - 8 : end]]) for end in range(len(slow) - DAY, 7, -DAY)]
    return min(p.size for p in slow[-8:]) - median(before)


def _swing(slow: Sequence[Point], span: int) -> float:
    """Return the largest range of these hours on an earlier day, in bytes.

    The lesser of two measures: the levels' own range (large after a step) and that of the smoothed rises (large in a sawtooth).
    """
    found = 0.0
    for end in range(len(slow) - DAY, span + 3, -DAY):
        day = slow[end - span - 3 : end]
        levels = sorted(p.size for p in day)
        rises = _rises(day)
        smooth = list(accumulate(sorted(rises[i : i + 5])[2] for i in range(len(rises) - 4)))
        found = max(found, min(levels[-span // 10] - levels[span // 10], max(smooth) - min(smooth)))
    return found


def _gaps(slow: Sequence[Point]) -> bool:
    """Return whether quarters of an hour are missing: a day ago is then not 96 points ago."""
    return length(slow) > (len(slow) + 1) * QUARTER
