"""Exposition: valid for Prometheus' own tools with any label value."""

from __future__ import annotations

import math
import os
import subprocess
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from collectors.cardinality import HEALTH, Dropped
from collectors.model import Family, Histogram, Kind, Level, Metric, Report, Verdict
from daemon.job import OnDemand
from exporters.prometheus.exposition.exposition import Exposition
from exporters.prometheus.exposition.families import export, exported_name
from exporters.prometheus.exposition.negotiation import negotiate_format

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = negotiate_format("text/plain")
OPENMETRICS = negotiate_format("application/openmetrics-text;version=1.0.0")

ATTEMPTS = Family("probe_attempts", Kind.COUNTER, "Connects tried.", ("target",))
CONNECT = Family("probe_connect_seconds", Kind.GAUGE, "Wall time of the last connect.", ("target",))
RTT = Family("probe_rtt_seconds", Kind.HISTOGRAM, "Round trip, by the kernel.", ("target",), buckets=(0.001, 0.1))
BUILD = Family("build", Kind.INFO, "This build.", ("version", "python"))
EXHAUSTION = Family("memory_exhaustion_seconds", Kind.GAUGE, "Until memory is gone; \\ and\nnewline in a help text.")

PROBE = Report(
    "probe",
    1.0,
    (Verdict("tcp_probe", "10.0.0.5:22", Level.CRITICAL, "refused 3 times"), Verdict("tcp_probe", "[fd00::5]:22", Level.HEALTHY)),
    (
        Metric(ATTEMPTS, 12, ("10.0.0.5:22",)),
        Metric(CONNECT, 0.25, ("10.0.0.5:22",)),
        Metric(RTT, Histogram((2, 1, 1), 2.5), ("10.0.0.5:22",)),
        Metric(ATTEMPTS, 3, ("[fd00::5]:22",)),
        Metric(BUILD, 1, ("0.1.0", "3.11")),
        Metric(EXHAUSTION, math.inf),
    ),
)
GOLDEN_TEXT = """\
# HELP vitald_health Health by check and subject, of the last readings: 0 healthy, 1 warning, 2 critical.
# TYPE vitald_health gauge
vitald_health{check="tcp_probe",subject="10.0.0.5:22"} 2.0
vitald_health{check="tcp_probe",subject="[fd00::5]:22"} 0.0
# HELP vitald_probe_attempts_total Connects tried.
# TYPE vitald_probe_attempts_total counter
vitald_probe_attempts_total{target="10.0.0.5:22"} 12.0
vitald_probe_attempts_total{target="[fd00::5]:22"} 3.0
# HELP vitald_probe_connect_seconds Wall time of the last connect.
# TYPE vitald_probe_connect_seconds gauge
vitald_probe_connect_seconds{target="10.0.0.5:22"} 0.25
# HELP vitald_probe_rtt_seconds Round trip, by the kernel.
# TYPE vitald_probe_rtt_seconds histogram
vitald_probe_rtt_seconds_bucket{le="0.001",target="10.0.0.5:22"} 2.0
vitald_probe_rtt_seconds_bucket{le="0.1",target="10.0.0.5:22"} 3.0
vitald_probe_rtt_seconds_bucket{le="+Inf",target="10.0.0.5:22"} 4.0
vitald_probe_rtt_seconds_count{target="10.0.0.5:22"} 4.0
vitald_probe_rtt_seconds_sum{target="10.0.0.5:22"} 2.5
# HELP vitald_build_info This build.
# TYPE vitald_build_info gauge
vitald_build_info{python="3.11",version="0.1.0"} 1.0
# HELP vitald_memory_exhaustion_seconds Until memory is gone; \\\\ and\\nnewline in a help text.
# TYPE vitald_memory_exhaustion_seconds gauge
vitald_memory_exhaustion_seconds +Inf
"""
HOSTILE = (
    "lone \ud800 surrogate",
    os.fsdecode(b"invalid \xff utf-8"),
    "nul \0",
    "line \u2028 separator",
    "newline\nvitald_forged_total 1",
    'quote " brace } comma ,',
    "back\\slash\\",
    "",
    " ",
    "x" * 100_000,
)


def promtool(body: bytes) -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_names_carry_the_programs_prefix_and_their_kinds_suffix() -> None:
    names = [exported_name(family) for family in (ATTEMPTS, CONNECT, RTT, BUILD, HEALTH)]
    wanted = [
        "vitald_probe_attempts_total",
        "vitald_probe_connect_seconds",
        "vitald_probe_rtt_seconds",
        "vitald_build_info",
        "vitald_health",
    ]
    assert names == wanted


@pytest.mark.fault(56)
@pytest.mark.needs("promtool")
def test_the_golden_exposition() -> None:
    body = Exposition(Dropped()).render([PROBE], TEXT)
    assert body.decode() == GOLDEN_TEXT
    promtool(body)


@pytest.mark.fault(56)
def test_openmetrics_is_valid_for_prometheus_clients_parser() -> None:
    body = Exposition(Dropped()).render([PROBE], OPENMETRICS).decode()
    parse: Any = parse_openmetrics  # it has no types
    families = {family.name: family for family in parse(body)}
    kinds = {"vitald_health": "gauge", "vitald_probe_attempts": "counter", "vitald_build": "info", "vitald_probe_rtt_seconds": "histogram"}
    assert {name: families[name].type for name in kinds} == kinds
    assert body.endswith("# EOF\n")
    assert body.count("# EOF") == 1


@pytest.mark.fault(6)
@pytest.mark.needs("promtool")
@pytest.mark.parametrize("form", [TEXT, OPENMETRICS], ids=["text", "openmetrics"])
def test_hostile_labels_do_not_break_a_scrape(form: Any) -> None:
    verdicts = tuple(Verdict("kernel_log", value, Level.WARNING) for value in HOSTILE)
    body = Exposition(Dropped()).render([Report("x", 1.0, verdicts, tuple(Metric(ATTEMPTS, 1, (value,)) for value in HOSTILE))], form)
    parse: Any = parse_text if form is TEXT else parse_openmetrics
    parsed = list(parse(body.decode()))
    assert [len(family.samples) for family in parsed] == [len(HOSTILE), len(HOSTILE)]
    if form is TEXT:
        promtool(body)


@pytest.mark.needs("promtool")
def test_labels_that_become_equal_are_exported_once_and_counted() -> None:
    twins = (Metric(ATTEMPTS, 1, ("a\n",)), Metric(ATTEMPTS, 2, ("a\\n",)))
    dropped = Dropped()
    body = Exposition(dropped).render([Report("x", 1.0, (), twins)], TEXT)
    assert body.splitlines()[2:] == [b'vitald_probe_attempts_total{target="a\\\\n"} 1.0']
    assert dropped.totals() == {ATTEMPTS: 1}
    promtool(body)


@pytest.mark.needs("promtool")
def test_of_a_series_in_two_reports_the_first_is_exported() -> None:
    one = Report("one", 1.0, (Verdict("c", "a", Level.HEALTHY), Verdict("c", "b", Level.HEALTHY)), ())
    two = Report("two", 1.0, (Verdict("c", "b", Level.CRITICAL), Verdict("c", "c", Level.WARNING)), ())
    dropped = Dropped()
    body = Exposition(dropped).render([one, two], TEXT)
    assert body.decode().splitlines()[2:] == [
        'vitald_health{check="c",subject="a"} 0.0',
        'vitald_health{check="c",subject="b"} 0.0',
        'vitald_health{check="c",subject="c"} 1.0',
    ]
    assert dropped.totals() == {HEALTH: 1}
    promtool(body)


@pytest.mark.fault(1)
def test_invalid_metrics_of_one_collector_do_not_change_the_others() -> None:
    value: Any = "no number"
    label: Any = 5
    broken = (
        Metric(ATTEMPTS, value, ("a",)),
        Metric(ATTEMPTS, 10**400, ("a",)),
        Metric(ATTEMPTS, 1, ("a", "too many")),
        Metric(ATTEMPTS, 1, (label,)),
        Metric(RTT, Histogram((1,), 1.0), ("a",)),
        Metric(RTT, 1.0, ("a",)),
        Metric(CONNECT, Histogram((1, 2, 3), 1.0), ("a",)),
    )
    dropped = Dropped()
    body = Exposition(dropped).render([Report("broken", 1.0, (), broken), PROBE], TEXT)
    assert body.decode() == GOLDEN_TEXT
    assert dropped.totals() == {ATTEMPTS: 4, RTT: 2, CONNECT: 1}


def test_only_reports_that_are_new_are_rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []

    def counted(report: Report, dropped: Dropped) -> Any:
        rendered.append(report.collector)
        return export(report, dropped)

    monkeypatch.setattr("exporters.prometheus.exposition.exposition.export", counted)
    renderer = Exposition(Dropped())
    news = [Report("news", float(at), (), (Metric(CONNECT, at, ("x",)),)) for at in range(3)]
    bodies = [renderer.render([PROBE, new], TEXT) for new in news]
    assert rendered == ["probe", "news", "news", "news"]
    assert [b'target="x"} %d.0\n' % at in body for at, body in enumerate(bodies)] == [True, True, True]
    assert renderer.render([PROBE, news[-1]], OPENMETRICS).endswith(b"# EOF\n")


class CountedMetrics(list[Metric]):
    """A report's metrics; counts how often they are iterated."""

    iterations = 0

    def __iter__(self) -> Iterator[Metric]:
        self.iterations += 1
        return super().__iter__()


def test_metrics_are_read_once_per_report_and_format() -> None:
    metrics = CountedMetrics([Metric(ATTEMPTS, 1, ("a",)), Metric(CONNECT, 2, ("a",))])
    report = Report("x", 1.0, (), metrics)
    renderer = Exposition(Dropped())
    bodies = [renderer.render([report, Report("y", float(scrape))], TEXT) for scrape in range(3)]
    assert (metrics.iterations, len(set(bodies))) == (1, 1)
    renderer.render([report], OPENMETRICS)
    assert metrics.iterations == 2


def test_metrics_on_demand_are_computed_by_the_first_scrape_of_their_report() -> None:
    computed: list[int] = []

    def report(run: int) -> Report:
        def compute() -> list[Metric]:
            computed.append(run)
            return [Metric(ATTEMPTS, run, ("a",))]

        return Report("x", 1.0, (), OnDemand(compute, threading.Lock()))

    renderer = Exposition(Dropped())
    runs = [report(run) for run in range(4)]
    bodies = [renderer.render([runs[run]], form).decode() for run, form in ((0, TEXT), (0, TEXT), (3, TEXT), (3, OPENMETRICS), (3, TEXT))]
    assert computed == [0, 3]
    assert [f'{{target="a"}} {run}.0\n' in body for run, body in zip((0, 0, 3, 3, 3), bodies, strict=True)] == [True] * 5


def test_a_report_is_not_kept_by_its_rendered_text() -> None:
    report = Report("x", 1.0, (), (Metric(ATTEMPTS, 1, ("a",)),))
    renderer = Exposition(Dropped())
    body = renderer.render([report, PROBE], TEXT)
    known = weakref.ref(report)
    del report
    assert known() is None
    assert b'{target="a"} 1.0' in body
    assert renderer.render([PROBE], TEXT).decode() == GOLDEN_TEXT
