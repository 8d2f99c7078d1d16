"""Caps: admitted, folded and counted values, and memory use."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from collectors.cardinality import HEALTH, OTHER, Caps, Dropped
from collectors.model import Family, Histogram, Kind, Level, Metric, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

LINES = Family("lines", Kind.COUNTER, "Lines.", ("source",), cap=3)
LAG = Family("lag_bytes", Kind.GAUGE, "Lag.", ("source",), cap=3)
RTT = Family("rtt_seconds", Kind.HISTOGRAM, "RTT.", ("source",), buckets=(1.0,), cap=3)
DRIVER = Family("driver", Kind.INFO, "Driver.", ("source",), cap=3)


def series(family: Family, values: Iterable[object]) -> list[Metric]:
    return [Metric(family, 1.0, (str(value),)) for value in values]


def by_label(metrics: Iterable[Metric]) -> dict[str, float | Histogram]:
    return {metric.labels[0]: metric.value for metric in metrics}


def test_within_the_cap_the_same_objects_are_returned() -> None:
    metrics = series(LINES, range(3))
    caps = Caps()
    assert all(one is other for one, other in zip(caps.fold(iter(metrics)), metrics, strict=True))
    assert not caps.dropped.totals()


def test_counters_beyond_the_cap_add_up_in_other() -> None:
    caps = Caps()
    assert by_label(caps.fold(series(LINES, range(10)))) == {"0": 1, "1": 1, "2": 1, OTHER: 7}
    assert caps.dropped.totals() == {LINES: 7}


def test_of_gauges_beyond_the_cap_the_largest_is_kept() -> None:
    metrics = [Metric(LAG, float(value), (str(value),)) for value in (1, 2, 3, 4, 9, 5)]
    assert by_label(Caps().fold(metrics))[OTHER] == 9
    nan = [Metric(LAG, value, (str(at),)) for at, value in enumerate((0.0, 0.0, 0.0, float("nan"), 2.0, float("nan")))]
    assert by_label(Caps().fold(nan))[OTHER] == 2


def test_histograms_beyond_the_cap_add_bucket_by_bucket() -> None:
    metrics = [Metric(RTT, Histogram((1, 2), 0.5), (str(value),)) for value in range(5)]
    assert by_label(Caps().fold(metrics))[OTHER] == Histogram((2, 4), 1.0)


def test_infos_beyond_the_cap_become_one() -> None:
    assert by_label(Caps().fold(series(DRIVER, range(9)))) == {"0": 1, "1": 1, "2": 1, OTHER: 1}


def test_the_value_other_does_not_count_towards_the_cap() -> None:
    assert by_label(Caps().fold(series(LINES, ("a", OTHER, "b", "c")))) == {"a": 1, OTHER: 1, "b": 1, "c": 1}


def test_a_value_stays_admitted_while_it_is_reported() -> None:
    caps = Caps()
    caps.fold(series(LINES, ("a", "b", "c")))
    assert by_label(caps.fold(series(LINES, ("new", "a", "b", "c")))) == {OTHER: 1, "a": 1, "b": 1, "c": 1}
    caps.fold(series(LINES, ("new", "b", "c")))
    assert by_label(caps.fold(series(LINES, ("new", "b", "c", "late")))) == {"new": 1, "b": 1, "c": 1, OTHER: 1}


def test_one_family_over_its_cap_folds_no_other_family() -> None:
    folded = Caps().fold([*series(LINES, range(5)), *series(LAG, "abc")])
    assert [metric.labels[0] for metric in folded if metric.family is LAG] == ["a", "b", "c"]


def test_two_labels_at_their_caps_are_bounded_as_a_product() -> None:
    pairs = Family("pairs", Kind.COUNTER, "Pairs.", ("one", "two"), cap=100)
    folded = Caps().fold(Metric(pairs, 1.0, (str(a), str(b))) for a in range(90) for b in range(90))
    assert len(folded) <= 2001
    assert sum(metric.value for metric in folded if isinstance(metric.value, float)) == 8100


@pytest.mark.fault(14)
def test_a_hundred_thousand_devices_stay_at_the_cap_in_bounded_memory() -> None:
    devices = Family("device_resets", Kind.COUNTER, "Resets.", ("device",))
    caps = Caps()
    tracemalloc.start()
    for _ in range(2):
        folded = caps.fold(Metric(devices, 1.0, (f"device-{number}",)) for number in range(100_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(folded) == 1001
    assert by_label(folded)[OTHER] == 99_000
    assert caps.dropped.totals() == {devices: 198_000}
    assert peak < 4 << 20


@pytest.mark.fault(14)
def test_of_verdicts_beyond_the_cap_the_worst_is_kept() -> None:
    def verdicts() -> Iterable[Verdict]:
        for number in range(100_000):
            level = Level.CRITICAL if number == 77_777 else Level.WARNING if number % 2 else Level.HEALTHY
            yield Verdict("memory_process", f"pid {number}", level, f"process {number}", {"bytes": number})

    dropped = Dropped()
    caps = Caps(dropped)
    folded = caps.fold_verdicts(verdicts())
    assert len(folded) == HEALTH.cap + 1
    worst = folded[-1]
    assert (worst.subject, worst.level, worst.message) == (OTHER, Level.CRITICAL, "process 77777")
    assert worst.evidence == {"subject": "pid 77777", "bytes": 77777, "folded": 99_000}
    assert dropped.totals() == {HEALTH: 99_000}


def test_each_check_has_its_own_cap() -> None:
    verdicts = [Verdict("one", str(number), Level.HEALTHY) for number in range(1500)] + [Verdict("two", "a", Level.WARNING)]
    folded = Caps().fold_verdicts(verdicts)
    assert [(verdict.check, verdict.subject) for verdict in folded[-2:]] == [("two", "a"), ("one", OTHER)]


def test_a_wrong_number_of_labels_is_left_for_the_exporter_to_refuse() -> None:
    odd = Metric(LINES, 1.0, ("a", "b"))
    assert odd in Caps().fold([odd, *series(LINES, range(9))])
