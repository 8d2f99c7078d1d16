"""Whether series are within their families' caps, found out quickly: the values of each label by themselves, a column at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.model import Family, Metric

    Labels = list[tuple[str, ...]]


class Columns:
    """The distinct values of each label of each family, and how many series each family has."""

    def __init__(self, series_per_cap: int) -> None:
        self._series_per_cap = series_per_cap
        self._families: dict[int, _Family] = {}  # by identity: a family is declared once, and hashing it costs more than all the rest

    @property
    def begun(self) -> bool:
        """Whether any metric has been added."""
        return bool(self._families)

    def fit(self, metrics: Iterable[Metric]) -> bool:
        """Add these metrics; tells whether every family is still within its cap."""
        groups: dict[int, tuple[Family, Labels]] = {}
        for metric in metrics:
            family = metric.family
            known = groups.get(id(family))
            if known is None:
                known = groups[id(family)] = (family, [])
            known[1].append(metric.labels)
        return not [family for family, labels in groups.values() if not self._add(family, labels)]

    def _add(self, family: Family, labels: Labels) -> bool:
        known = self._families.get(id(family)) or self._families.setdefault(id(family), _Family(family))
        known.add(labels)
        return known.series <= self._series_per_cap * family.cap and all(len(seen) <= family.cap for seen in known.values)


class _Family:
    def __init__(self, family: Family) -> None:
        self.series = 0
        self.values: tuple[set[str], ...] = tuple(set() for _ in family.labels)

    def add(self, labels: Labels) -> None:
        self.series += len(labels)
        for seen, column in zip(self.values, zip(*labels, strict=False), strict=False):
            seen.update(column)
