"""Fast check of series against their families' caps, one label (column) at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.model import Family, Metric

    Labels = list[tuple[str, ...]]


class Columns:
    """Distinct values of each label of each family, and each family's number of series."""

    def __init__(self, series_per_cap: int) -> None:
        self._series_per_cap = series_per_cap
        self._families: dict[int, _Distinct] = {}  # by identity: a family is declared once, and its hash is expensive

    @property
    def is_started(self) -> bool:
        """True if any metric has been added."""
        return bool(self._families)

    def fit(self, metrics: Iterable[Metric]) -> bool:
        """Add metrics; return True if every family is within its cap."""
        groups: dict[int, tuple[Family, Labels]] = {}
        for metric in metrics:
            family = metric.family
            if (group := groups.get(id(family))) is None:
                group = groups[id(family)] = (family, [])
            group[1].append(metric.labels)
        return not [family for family, labels in groups.values() if not self._add(family, labels)]

    def _add(self, family: Family, labels: Labels) -> bool:
        distinct = self._families.get(id(family)) or self._families.setdefault(id(family), _Distinct(family))
        distinct.add(labels)
        return distinct.series <= self._series_per_cap * family.cap and all(len(values) <= family.cap for values in distinct.values)


class _Distinct:
    def __init__(self, family: Family) -> None:
        self.series = 0
        self.values: tuple[set[str], ...] = tuple(set() for _ in family.labels)

    def add(self, labels: Labels) -> None:
        self.series += len(labels)
        for values, column in zip(self.values, zip(*labels, strict=False), strict=False):
            values.update(column)
