"""Caps on the values of a label: whatever comes after them is folded into `other`, and counted. Pure: no clock, no I/O."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import chain, islice
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING

from collectors.columns import Columns
from collectors.model import Family, Histogram, Kind, Metric, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

OTHER = "other"
SERIES_PER_CAP = 20  # the product of two labels at their caps would still be a million series: a family holds at most this many caps

HEALTH = Family(
    "health",
    Kind.GAUGE,
    "What the last readings mean, by check and subject: 0 healthy, 1 warning, 2 critical.",
    ("check", "subject"),
)
SERIES_DROPPED = Family(
    "series_dropped",
    Kind.COUNTER,
    "Series folded into the label value other, or left out because they could not be exported, by metric.",
    ("metric",),
)

_CHUNK = 4096
_family = attrgetter("family")
_labels = attrgetter("labels")


class Dropped:
    """Running totals of the series that were folded or left out, by family. One for the whole daemon; safe from any thread."""

    def __init__(self) -> None:
        self._totals: dict[Family, int] = {}
        self._lock = Lock()

    def add(self, family: Family, series: int = 1) -> None:
        """Count this many more."""
        with self._lock:
            self._totals[family] = self._totals.get(family, 0) + series

    def totals(self) -> Mapping[Family, int]:
        """Give the totals so far."""
        with self._lock:
            return dict(self._totals)


class Caps:
    """What one collector may export. Values keep their place while they are reported, and free it once they are not.

    A collector has one of its own, used by one thread at a time. `dropped` may be shared.
    """

    def __init__(self, dropped: Dropped | None = None) -> None:
        self.dropped = Dropped() if dropped is None else dropped
        self._last: tuple[list[Family], list[tuple[str, ...]]] = [], []  # of each metric; not the metrics, so that their values are freed
        self._verdicts: Sequence[Verdict] = ()

    def fold(self, metrics: Iterable[Metric]) -> list[Metric]:
        """Give these metrics within their families' caps; the very same ones, in order, where no cap is exceeded."""
        stream = iter(metrics)
        head: list[Metric] = []
        values: set[str] = set()
        cap = sys.maxsize
        seen = Columns(SERIES_PER_CAP)
        while chunk := list(islice(stream, _CHUNK)):
            head += chunk
            # All labels of all families as one: cheap, and while even these are few, no single label exceeds its cap.
            values.update(chain.from_iterable(map(_labels, chunk)))
            cap = min(cap, *(family.cap for family in {id(family): family for family in map(_family, chunk)}.values()))
            if len(values) > cap or len(head) > SERIES_PER_CAP * cap:
                # A label's values by themselves: a thousand targets, each with eleven reasons, are within a cap of a thousand.
                if seen.fit(chunk if seen.begun else head):
                    continue
                head = self._fold(chain(head, stream))
                break
        self._last = list(map(_family, head)), list(map(_labels, head))
        return head

    def _fold(self, metrics: Iterable[Metric]) -> list[Metric]:
        places: dict[int, _Places] = {}
        for family, labels in zip(*self._last, strict=True):
            _places(places, family).keep(labels)
        self._last = [], []
        for metric in metrics:
            _places(places, metric.family).add(metric)
        for place in places.values():
            if place.folded:
                self.dropped.add(place.family, place.folded)
        return list(chain.from_iterable(place.series.values() for place in places.values()))

    def fold_verdicts(self, verdicts: Iterable[Verdict]) -> list[Verdict]:
        """Give these verdicts with at most `HEALTH.cap` subjects a check; the others' worst one speaks for the subject `other`."""
        stream = iter(verdicts)
        result = list(islice(stream, HEALTH.cap))
        rest = next(stream, None)
        if rest is not None:
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
            if verdict.check not in worst or verdict.level > worst[verdict.check].level:
                worst[verdict.check] = verdict
        for check, verdict in worst.items():
            self.dropped.add(HEALTH, folded[check])
            evidence = {"subject": verdict.subject, **verdict.evidence, "folded": folded[check]}
            yield replace(verdict, subject=OTHER, evidence=evidence)


class _Places:
    """The admitted values of one family's labels, and the series they make."""

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
        for admitted, value in zip(self.admitted, labels, strict=False):  # a wrong number of labels is the exporter's to refuse
            if value not in admitted:
                labels = self._labels(labels)
                break
        if labels not in self.series and len(self.series) >= SERIES_PER_CAP * self.family.cap:
            labels = (OTHER,) * len(labels)
        if labels is not metric.labels:
            self.folded += 1
            metric = Metric(metric.family, metric.value, labels)
        present = self.series.get(labels)
        self.series[labels] = metric if present is None else _merged(present, metric)

    def _labels(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Let new values take a place where there is one; the same object where nothing had to be folded."""
        cap = self.family.cap
        folded = tuple(value if _admit(admitted, value, cap) else OTHER for admitted, value in zip(self.admitted, labels, strict=False))
        return labels if folded == labels[: len(folded)] else folded


def _places(places: dict[int, _Places], family: Family) -> _Places:
    found = places.get(id(family))  # by identity: a family is declared once, and hashing it costs more than all the rest
    if found is None:
        found = places[id(family)] = _Places(family)
    return found


def _admit(admitted: set[str], value: str, cap: int) -> bool:
    if value in admitted:
        return True
    if len(admitted) > cap:  # `other` is always in it
        return False
    admitted.add(value)
    return True


def _merged(one: Metric, two: Metric) -> Metric:
    if isinstance(one.value, Histogram) and isinstance(two.value, Histogram):
        counts = tuple(a + b for a, b in zip(one.value.counts, two.value.counts, strict=False))
        return Metric(one.family, Histogram(counts, one.value.sum + two.value.sum), one.labels)
    if isinstance(one.value, Histogram) or isinstance(two.value, Histogram) or one.family.kind is Kind.INFO:
        return one
    if one.family.kind is Kind.COUNTER:
        return Metric(one.family, one.value + two.value, one.labels)
    return two if two.value > one.value or one.value != one.value else one  # only NaN differs from itself
