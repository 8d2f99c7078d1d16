"""Reports in prometheus_client's words. What cannot be exported is left out and counted: it never spoils a scrape."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from collectors.cardinality import HEALTH
from collectors.model import Family, Histogram, Kind
from collectors.model import Metric as Measured
from exporters.prometheus.exposition.labels import clean
from exporters.prometheus.exposition.names import base_name, exported_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.cardinality import Dropped
    from collectors.model import Report


@dataclass(slots=True)
class Exported:
    """One family of one report: what prometheus_client renders, and the label sets in it."""

    source: Family
    metric: Metric
    keys: set[tuple[str, ...]] = field(default_factory=set)

    def add(self, measured: Measured) -> bool:
        """Take one series; False where its labels are taken, or where it could not be rendered."""
        try:
            labels = tuple(map(clean, measured.labels))
            if labels == measured.labels:
                labels = measured.labels  # the usual case: the report's own tuple is the one that is kept
            if labels in self.keys or len(labels) != len(self.source.labels):
                return False
            if isinstance(self.metric, HistogramMetricFamily):
                self._add_histogram(labels, measured.value)
            else:
                value = float(measured.value)  # type: ignore[arg-type]  # a histogram here is refused like any other non-number
                name = exported_name(self.source)
                self.metric.samples.append(Sample(name, dict(zip(self.source.labels, labels, strict=True)), value))
        except (TypeError, ValueError, OverflowError):
            return False
        self.keys.add(labels)
        return True

    def _add_histogram(self, labels: tuple[str, ...], value: object) -> None:
        """OpenMetrics 1.0, 5.3.5: buckets are cumulative, ascending, and end with +Inf, which is the count."""
        bounds = _bounds(self.source.buckets)
        if not isinstance(value, Histogram) or len(value.counts) != len(bounds):
            msg = f"{self.source.name} wants {len(bounds)} buckets"
            raise TypeError(msg)
        so_far, buckets = 0, []
        for bound, count in zip(bounds, value.counts, strict=True):
            so_far += count
            buckets.append((bound, float(so_far)))
        self.metric.add_metric(labels, buckets, float(value.sum))  # type: ignore[attr-defined]  # the caller looked


def export(report: Report, dropped: Dropped) -> dict[str, Exported]:
    """Give a report's families by OpenMetrics name, verdicts as `vitald_health`; duplicates and broken series are counted in `dropped`."""
    families: dict[str, Exported] = {}
    for measured in _measured(report):
        family = measured.family
        exported = families.get(family.name)  # as declared: cheaper than the spelling, which is made once a family
        if exported is None:
            exported = families[family.name] = Exported(family, _empty(family))
        if not exported.add(measured):
            dropped.add(family)
    return {exported.metric.name: exported for exported in families.values()}


def _measured(report: Report) -> Iterator[Measured]:
    for verdict in report.verdicts:
        yield Measured(HEALTH, verdict.level, (verdict.check, verdict.subject))
    yield from report.metrics


@cache
def _bounds(buckets: tuple[float, ...]) -> tuple[str, ...]:
    """Write upper bounds as the library does; a family's buckets never change."""
    return tuple(floatToGoString(bound) for bound in (*buckets, math.inf))  # type: ignore[no-untyped-call]


def _empty(family: Family) -> Metric:
    if family.kind is Kind.HISTOGRAM:
        return HistogramMetricFamily(base_name(family), family.help, labels=family.labels)
    return Metric(base_name(family), family.help, family.kind.value)
