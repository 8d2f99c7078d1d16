"""Cardinality limits: label values beyond a family's cap are folded into `other` and counted. Pure: no clock, no I/O.

The length of a value is limited where it is exported (exporters/prometheus/exposition/labels.py).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import chain, islice
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING

from collectors.model import Family, Histogram, Kind, Metric, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Labels = list[tuple[str, ...]]

OTHER = "other"
SERIES_PER_CAP = 20  # limit of a family's series, in caps: the product of two labels at their caps would be a million

HEALTH = Family(
    "health", Kind.GAUGE, "Health by check and subject, of the last readings: 0 healthy, 1 warning, 2 critical.", ("check", "subject")
)
SERIES_DROPPED = Family(
    "series_dropped",
    Kind.COUNTER,
    "Series folded into the label value other or not exported because invalid, by metric, since the start.",
    ("metric",),
)

_CHUNK = 4096
_family = attrgetter("family")
_labels = attrgetter("labels")


class Dropped:
    """Totals of series that were folded or left out, by family, since the start. One for the whole daemon; thread-safe."""

    def __init__(self) -> None:
        self._totals: dict[Family, int] = {}
        self._lock = Lock()

    def add(self, family: Family, series: int = 1) -> None:
        """Add to a family's total."""
        with self._lock:
            self._totals[family] = self._totals.get(family, 0) + series

    def totals(self) -> Mapping[Family, int]:
        """Return a copy of the totals."""
        with self._lock:
            return dict(self._totals)


class Caps:
    """Limits of one collector. Label values stay admitted for as long as they are reported.

    Not thread-safe, except that `fold()` and `fold_verdicts()` may run concurrently. `dropped` may be shared.
    """

    def __init__(self, dropped: Dropped | None = None) -> None:
        self.dropped = Dropped() if dropped is None else dropped
        self._last: tuple[list[Family], list[tuple[str, ...]]] = [], []  # of each metric; not the metrics, so that their values are freed
        self._verdicts: Sequence[Verdict] = ()

    def fold(self, metrics: Iterable[Metric]) -> list[Metric]:
        """Return these metrics within their families' caps; the same objects in the same order if no cap is exceeded."""
        stream = iter(metrics)
        head: list[Metric] = []
        values: set[str] = set()
        cap = sys.maxsize
        columns = Columns(SERIES_PER_CAP)
        while chunk := list(islice(stream, _CHUNK)):
            head += chunk
            # The distinct values of all labels together are cheap to count; while they are within the smallest cap, so is each label.
            values.update(chain.from_iterable(map(_labels, chunk)))
            cap = min(cap, *(family.cap for family in {id(family): family for family in map(_family, chunk)}.values()))
            if len(values) > cap or len(head) > SERIES_PER_CAP * cap:
                # Otherwise count each label by itself: a thousand targets with eleven reasons each are within a cap of a thousand.
                if columns.fit(chunk if columns.families else head):
                    continue
                head = self._fold(chain(head, stream))
                break
        self._last = list(map(_family, head)), list(map(_labels, head))
        return head

    def _fold(self, metrics: Iterable[Metric]) -> list[Metric]:
        states: dict[int, _FamilyState] = {}
        for family, labels in zip(*self._last, strict=True):
            _state(states, family).keep(labels)
        self._last = [], []
        for metric in metrics:
            _state(states, metric.family).add(metric)
        for state in states.values():
            if state.folded:
                self.dropped.add(state.family, state.folded)
        return list(chain.from_iterable(state.series.values() for state in states.values()))

    def fold_verdicts(self, verdicts: Iterable[Verdict]) -> list[Verdict]:
        """Return these verdicts with at most `HEALTH.cap` subjects per check; the worst of the others becomes that of subject `other`."""
        stream = iter(verdicts)
        result = list(islice(stream, HEALTH.cap))
        if (rest := next(stream, None)) is not None:
            result = list(self._fold_verdicts(chain(result, (rest,), stream)))
        self._verdicts = result
        return result

    def _fold_verdicts(self, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
        admitted: dict[str, set[str]] = {}
        for verdict in self._verdicts:
            admitted.setdefault(verdict.check, {OTHER}).add(verdict.subject)
        worst: dict[str, Verdict] = {}
        folded: dict[str, int] = {}
        for verdict in verdicts:
            if _admit(admitted.setdefault(verdict.check, {OTHER}), verdict.subject, HEALTH.cap):
                yield verdict
                continue
            folded[verdict.check] = folded.get(verdict.check, 0) + 1
            if verdict.check not in worst or verdict.level.severity > worst[verdict.check].level.severity:
                worst[verdict.check] = verdict
        for check, verdict in worst.items():
            self.dropped.add(HEALTH, folded[check])
            yield replace(verdict, subject=OTHER, evidence={"subject": verdict.subject, **verdict.evidence, "folded": folded[check]})


class Columns:
    """Distinct values of each label of each family, and each family's number of series."""

    def __init__(self, series_per_cap: int) -> None:
        self._series_per_cap = series_per_cap
        self.families: dict[int, _Distinct] = {}  # by identity: a family is declared once, and its hash is expensive

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
        distinct = self.families.get(id(family)) or self.families.setdefault(id(family), _Distinct(family))
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


class _FamilyState:
    """Admitted values of one family's labels, and its series."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.admitted: tuple[set[str], ...] = tuple({OTHER} for _ in family.labels)
        self.series: dict[tuple[str, ...], Metric] = {}
        self.folded = 0

    def keep(self, labels: tuple[str, ...]) -> None:
        for admitted, value in zip(self.admitted, labels, strict=False):
            admitted.add(value)

    def add(self, metric: Metric) -> None:
        labels = metric.labels
        for admitted, value in zip(self.admitted, labels, strict=False):  # the exporter rejects a wrong number of labels
            if value not in admitted:
                labels = self._folded(labels)
                break
        if labels not in self.series and len(self.series) >= SERIES_PER_CAP * self.family.cap:
            labels = (OTHER,) * len(labels)
        if labels is not metric.labels:
            self.folded += 1
            metric = Metric(metric.family, metric.value, labels)
        existing = self.series.get(labels)
        self.series[labels] = metric if existing is None else _merged(existing, metric)

    def _folded(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Admit new values within the cap and fold the others; return the same object if nothing was folded."""
        cap = self.family.cap
        folded = tuple(value if _admit(admitted, value, cap) else OTHER for admitted, value in zip(self.admitted, labels, strict=False))
        return labels if folded == labels[: len(folded)] else folded


def _state(states: dict[int, _FamilyState], family: Family) -> _FamilyState:
    if (state := states.get(id(family))) is None:  # by identity: a family is declared once, and its hash is expensive
        state = states[id(family)] = _FamilyState(family)
    return state


def _admit(admitted: set[str], value: str, cap: int) -> bool:
    if value in admitted:
        return True
    if len(admitted) > cap:  # `other` is always in it
        return False
    admitted.add(value)
    return True


def _merged(first: Metric, second: Metric) -> Metric:
    if isinstance(first.value, Histogram) and isinstance(second.value, Histogram):
        counts = tuple(a + b for a, b in zip(first.value.counts, second.value.counts, strict=False))
        return Metric(first.family, Histogram(counts, first.value.sum + second.value.sum), first.labels)
    if isinstance(first.value, Histogram) or isinstance(second.value, Histogram) or first.family.kind is Kind.INFO:
        return first
    if first.family.kind is Kind.COUNTER:
        return Metric(first.family, first.value + second.value, first.labels)
    return second if second.value > first.value or first.value != first.value else first  # only NaN differs from itself
