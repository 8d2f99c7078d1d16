"""Robust statistics of the trend, and its result `Growth`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.memory.trend.window import Point

BLOCKS = 8


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes per second: the robust `slope`, and the `lower` end of its confidence interval. `span` is the seconds it was observed over.

    `method` is the test that classified it as a leak: `fast`, `hours`, `days`, `first days`; empty where none did.
    """

    slope: float = 0.0
    lower: float = 0.0
    span: float = 0.0
    method: str = ""

    @property
    def is_leak(self) -> bool:
        """True if this is a leak and not an ordinary fluctuation of the host."""
        return bool(self.method)

    def exhaustion(self, available: int) -> float:
        """Return the seconds until `available` bytes are used up at this slope; infinite where it is no leak."""
        return available / self.slope if self.is_leak and self.slope > 0 else inf


def blocks(series: Sequence[tuple[float, float]], start: float, span: float) -> list[float] | None:
    """Return the lower quartile of each eighth of a span: a leak lifts the floor, a burst does not. None where one is empty."""
    cut: list[list[float]] = [[] for _ in range(BLOCKS)]
    for at, value in series:
        if at > start:
            cut[min(ceil((at - start) * BLOCKS / span), BLOCKS) - 1].append(value)
    return [sorted(values)[len(values) // 4] for values in cut] if all(cut) else None


def confidence(values: Sequence[float], student: float) -> tuple[float, float]:
    """Return the mean and the lower end of its confidence interval."""
    mean = sum(values) / len(values)
    spread = sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return mean, mean - student * spread / sqrt(len(values))


def theil_sen(series: Sequence[tuple[float, float]]) -> float:
    """Return the median of the slopes of all pairs (Theil 1950, Sen 1968): up to 29 % of the points may be outliers."""
    slopes = [(b - a) / (t - s) for i, (s, a) in enumerate(series) for t, b in series[i + 1 :] if t > s]
    return median(slopes) if slopes else 0.0


def median(values: Sequence[float]) -> float:
    """Return the middle value, the upper of two; half the cost of statistics.median, which would have to be imported."""
    return sorted(values)[len(values) // 2]


def length(points: Sequence[Point]) -> float:
    """Return the seconds from the first point to the last."""
    return points[-1].at - points[0].at if points else 0.0
