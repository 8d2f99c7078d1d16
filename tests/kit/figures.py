"""The arithmetic of the benches. Pure."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Points = list[tuple[float, float]]
_WINDOW = 15.0  # seconds; one point of the slope each


def quantile(values: Sequence[float], q: float) -> float:
    """Return the smallest value that at least the share `q` of all values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Slope:
    """Theil-Sen's slope and its 95 % confidence interval (Sen 1968, from Kendall's S), in units of y per unit of x."""

    median: float
    low: float
    high: float

    @property
    def flat(self) -> bool:
        """True if the confidence interval includes no growth."""
        return self.low <= 0


def theil_sen(points: Sequence[tuple[float, float]]) -> Slope:
    """Fit a line that is robust against outliers; at least three points with different x."""
    slopes = sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2)
    n = len(points)
    spread = 1.96 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(0, math.floor((len(slopes) - spread) / 2))
    return Slope(statistics.median(slopes), slopes[low], slopes[len(slopes) - 1 - low])


def thinned(points: Sequence[tuple[float, float]], every: float) -> list[tuple[float, float]]:
    """Return one median point for each stretch of x: adjacent points are too correlated to count as independent."""
    groups: dict[int, list[tuple[float, float]]] = {}
    for x, y in points:
        groups.setdefault(int(x // every), []).append((x, y))
    return [(statistics.median(x for x, _ in group), statistics.median(y for _, y in group)) for group in groups.values()]


def ratio(ours: float, theirs: float) -> str:
    """Write ours : theirs as a fraction: `1/14.2` or `1.31`."""
    if ours <= 0 or theirs <= 0:
        return "-"
    return f"{ours / theirs:.2f}" if ours >= theirs else f"1/{theirs / ours:.1f}"


def seconds(value: float) -> str:
    """Write a time with a fitting unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * scale >= 1:
            return f"{value * scale:.3g} {unit}"
    return f"{value * 1e6:.2g} µs"


def per_minute(slope: Slope) -> str:
    """Format bytes per second as KB per minute."""
    median, low, high = (value * 60 / 1e3 for value in (slope.median, slope.low, slope.high))
    return f"{median:+.2f} KB/min ({low:+.2f} … {high:+.2f})"


def second_half(points: Points) -> Points:
    """Thin out the second half, after warm-up."""
    return thinned([point for point in points if point[0] >= points[-1][0] / 2], _WINDOW)
