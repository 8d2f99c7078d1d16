"""Reports as prometheus_client metric families. A series that cannot be exported is left out and counted."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from collectors.cardinality import HEALTH
from collectors.model import Family, Histogram, Kind, Level
from collectors.model import Metric as Measured
from exporters.prometheus.exposition.labels import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.cardinality import Dropped
    from collectors.model import Report

PREFIX = "vitald_"
SUFFIX = {Kind.COUNTER: "_total", Kind.INFO: "_info", Kind.GAUGE: "", Kind.HISTOGRAM: ""}


def base_name(family: Family) -> str:
    """Return the name of the OpenMetrics metric family, without the suffix of its kind: `vitald_probe_attempts`."""
    return PREFIX + family.name.removesuffix(SUFFIX[family.kind])


def exported_name(family: Family) -> str:
    """Return the name as written in queries: `vitald_probe_attempts_total`."""
    return base_name(family) + SUFFIX[family.kind]


@dataclass(slots=True)
class ExportedFamily:
    """One family of one report: the metric that prometheus_client renders, and the label sets in it."""

    source: Family
    metric: Metric
    name: str
    keys: set[tuple[str, ...]] = field(default_factory=set)

    def add(self, measured: Measured) -> bool:
        """Add one series; return False if its label set is present already or if it cannot be rendered."""
        try:
            labels = tuple(map(clean, measured.labels))
            if labels == measured.labels:
                labels = measured.labels  # the usual case: keep the report's own tuple, not a copy
            if labels in self.keys or len(labels) != len(self.source.labels):
                return False
            if isinstance(self.metric, HistogramMetricFamily):
                self._add_histogram(labels, measured.value)
            else:
                value = float(measured.value)  # type: ignore[arg-type]  # a histogram here is refused like any other non-number
                self.metric.samples.append(Sample(self.name, dict(zip(self.source.labels, labels, strict=True)), value))
        except (TypeError, ValueError, OverflowError):
            return False
        self.keys.add(labels)
        return True

    def _add_histogram(self, labels: tuple[str, ...], value: object) -> None:
        """Add cumulative buckets in ascending order; the last one is +Inf and equals the count (OpenMetrics 1.0, 5.3.5)."""
        bounds = _bounds(self.source.buckets)
        if not isinstance(value, Histogram) or len(value.counts) != len(bounds):
            raise TypeError(f"{self.source.name} needs {len(bounds)} buckets")
        total, buckets = 0, []
        for bound, count in zip(bounds, value.counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        self.metric.add_metric(labels, buckets, float(value.sum))  # type: ignore[attr-defined]  # the caller checked the type


def export(report: Report, dropped: Dropped) -> Iterator[ExportedFamily]:
    """Yield a report's families, known verdicts as `vitald_health`; duplicates and series that cannot be rendered are counted in `dropped`.

    The report's metrics are read once. One family at a time is converted, so that the samples of all never exist together.
    """
    series: defaultdict[str, list[Measured]] = defaultdict(list)  # by declared name: cheaper than the spelling and than hashing a family
    series[HEALTH.name] += (
        Measured(HEALTH, verdict.level, (verdict.check, verdict.subject))
        for verdict in report.verdicts
        if verdict.level is not Level.UNKNOWN  # a number would be a claim; the reason is in vitald_*_available
    )
    for measured in report.metrics:
        series[measured.family.name].append(measured)
    for measurements in filter(None, series.values()):
        family = measurements[0].family
        if family.kind is Kind.HISTOGRAM:
            metric: Metric = HistogramMetricFamily(base_name(family), family.help, labels=family.labels)
        else:
            metric = Metric(base_name(family), family.help, family.kind.value)
        exported = ExportedFamily(family, metric, exported_name(family))
        if rejected := sum(not exported.add(measured) for measured in measurements):
            dropped.add(family, rejected)
        yield exported


@cache
def _bounds(buckets: tuple[float, ...]) -> tuple[str, ...]:
    """Format upper bounds as prometheus_client does; a family's buckets never change."""
    return tuple(floatToGoString(bound) for bound in (*buckets, math.inf))  # type: ignore[no-untyped-call]
