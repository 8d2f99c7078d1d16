"""Growth, and the few robust statistics it is found with. Pure."""

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
    """Bytes a second: the robust `slope`, and the `lower` end of its confidence. `span` is how many seconds were watched.

    `how` names the look that is sure of it: `fast`, `hours`, `days`, `first days`; empty where none is.
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


def length(points: Sequence[Point]) -> float:
    """Give the seconds from the first point to the last."""
    return points[-1].at - points[0].at if points else 0.0
