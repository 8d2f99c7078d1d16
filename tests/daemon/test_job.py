"""Jobs: on-demand metrics, unchanged readings, inputs and follow-ups."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from collectors.model import Inputs, Level, Metric, Verdict
from daemon.job import INPUT_SECONDS, MAX_EVENTS
from daemon.self_metrics import _runs
from tests.daemon.runs import RUNS, CountReading, Counts, Start, job, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemon.job import CollectorJob


class Measured(Counts):
    """Records each call of `measure()`."""

    name = "measured"
    calls: ClassVar[list[int]] = []

    @staticmethod
    def measure(reading: CountReading, _settings: Any, /) -> Iterator[Metric]:
        Measured.calls.append(reading.runs)
        yield Metric(RUNS, reading.runs)


@pytest.fixture
def calls() -> list[int]:
    Measured.calls.clear()
    return Measured.calls


def test_metrics_are_computed_when_first_read_and_once(calls: list[int]) -> None:
    measured = job(Measured())
    reports = [measured.run_once() for _ in range(3)]
    assert calls == []
    values = [[metric.value for metric in report.metrics] for report in (reports[2], reports[2], reports[0])]
    assert (values, len(reports[2].metrics), reports[2].metrics[0].value) == ([[3], [3], [1]], 1, 3)
    assert calls == [3, 1]


def test_metrics_that_several_threads_read_at_once_are_computed_once(calls: list[int]) -> None:
    class Slow(Measured):
        @staticmethod
        def measure(reading: CountReading, settings: Any, /) -> Iterator[Metric]:
            time.sleep(0.1)
            yield from Measured.measure(reading, settings)

    report = job(Slow()).run_once()
    values: list[Any] = []
    threads = [threading.Thread(target=lambda: values.extend(metric.value for metric in report.metrics)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (values, calls) == ([1] * 8, [1])


@pytest.mark.fault(1)
def test_a_measure_that_fails_costs_its_own_metrics_only_and_is_counted(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    class Unmeasurable(Counts):
        name = "unmeasurable"

        @staticmethod
        def measure(reading: CountReading, _settings: Any, /) -> Iterator[Metric]:
            raise ZeroDivisionError(reading.runs)

    daemon = start(bad := job(Unmeasurable(), interval=3600), job(Counts(), interval=3600))
    until(lambda: len(daemon.board.reports()) == 2)
    metrics = {report.collector: list(report.metrics) for report in daemon.board.reports()}
    assert metrics["unmeasurable"] == []
    assert [metric.value for metric in metrics["counts"]] == [1]
    assert [len(report.metrics) for report in daemon.board.reports() if report.collector == "unmeasurable"] == [0]
    assert (bad.failures, bad.success) == (1, False)
    bad.success = True  # as the next run sets it
    success = {m.labels: m.value for m in _runs([bad]) if m.family.name == "collector_success"}
    assert success == {("unmeasurable",): False}
    assert [r.getMessage() for r in caplog.records] == ["collector failed collector=unmeasurable error=ZeroDivisionError: 1"]


def test_the_same_reading_keeps_its_report(calls: list[int]) -> None:
    class Unchanged(Measured):
        def read(self) -> CountReading:
            return unchanged if self.runs else super().read()

    unchanged = CountReading(7)
    same = job(Unchanged())
    reports = [same.run_once() for _ in range(4)]
    assert [id(report) for report in reports[1:]] == [id(reports[1])] * 3
    assert reports[0] is not reports[1]
    assert same.readings() == (CountReading(1), unchanged)
    assert [metric.value for report in reports for metric in report.metrics] == [1, 7, 7, 7]
    assert calls == [1, 7]


class Bad(Counts):
    """A collector with one subject, whose level a test sets."""

    name = "bad"
    level = Level.HEALTHY

    def read(self) -> CountReading:
        self.runs += 1
        return CountReading(self.runs * 10 + self.level)

    @staticmethod
    def judge(readings: Sequence[CountReading], _settings: Any, /) -> Iterator[Verdict]:
        yield Verdict("counting", "subject", Level(readings[-1].runs % 10))


class Dependent(Counts):
    """A collector that records its inputs."""

    name = "dependent"
    inputs = ("bad", "none")

    def __init__(self) -> None:
        super().__init__()
        self.received: list[Inputs] = []

    def receive(self, inputs: Inputs) -> None:
        self.received.append(inputs)


def test_inputs_are_handed_on_before_each_read() -> None:
    bad, dependent = job(Bad()), job(collector := Dependent())
    jobs = {"bad": bad}
    bad.run_once()
    dependent.run_once(jobs.get)
    bad.run_once()
    dependent.run_once(jobs.get)
    assert collector.received == [Inputs({"bad": CountReading(10)}), Inputs({"bad": CountReading(20)})]


def test_newly_unhealthy_subjects_are_handed_on_once_and_bounded() -> None:
    dependent = job(collector := Dependent())
    dependent.mark_unhealthy(["a", "b", "a"])
    dependent.mark_unhealthy(map(str, range(2 * MAX_EVENTS)))
    dependent.run_once()
    dependent.run_once()
    first, second = (inputs.newly_unhealthy for inputs in collector.received)
    assert first == ("a", "b", *map(str, range(MAX_EVENTS - 3)))
    assert second == ()


def test_a_dependent_runs_at_once_when_a_subject_turns_unhealthy(start: Start) -> None:
    bad, dependent = Bad(), Dependent()
    start(job(bad), job(dependent, interval=3600))
    until(lambda: len(dependent.received) == 1)
    runs = bad.runs
    until(lambda: bad.runs >= runs + 3)  # healthy runs wake nobody
    assert len(dependent.received) == 1
    bad.level = Level.WARNING
    until(lambda: len(dependent.received) == 2)
    assert dependent.received[-1].newly_unhealthy == ("subject",)
    assert dependent.received[-1].readings["bad"].runs % 10 == Level.WARNING
    runs = bad.runs
    until(lambda: bad.runs >= runs + 3)  # a subject that stays unhealthy wakes nobody either
    assert len(dependent.received) == 2


def test_a_dependent_waits_for_the_first_reading(start: Start) -> None:
    class Late(Bad):
        def read(self) -> CountReading:
            time.sleep(0.5)
            return super().read()

    dependent = Dependent()
    start(job(dependent, interval=3600), job(Late(), interval=3600))
    until(lambda: dependent.runs == 1)
    assert dependent.received == [Inputs({"bad": CountReading(10)})]


def test_a_dependent_does_not_wait_for_a_reading_that_failed() -> None:
    class FailsOnce(Bad):
        def read(self) -> CountReading:
            raise OSError("no")

    bad = job(FailsOnce())
    with pytest.raises(OSError, match="no"):
        bad.run_once()
    dependent = job(collector := Dependent())
    began = time.monotonic()
    dependent.run_once({"bad": bad}.get)
    assert time.monotonic() - began < INPUT_SECONDS / 2
    assert collector.received == [Inputs()]


def test_a_follow_up_that_returns_a_reading_has_it_judged_again() -> None:
    class Thorough(Counts):
        follow_ups: ClassVar[list[tuple[CountReading, list[str]]]] = []

        def follow_up(self, reading: CountReading, verdicts: Sequence[Verdict]) -> CountReading | None:
            self.follow_ups.append((reading, [verdict.message for verdict in verdicts]))
            return CountReading(100 + reading.runs) if reading.runs == 2 else None

    thorough: CollectorJob = job(Thorough())
    first, second, third = (thorough.run_once() for _ in range(3))
    assert [report.verdicts[0].message for report in (first, second, third)] == ["[1]", "[1, 102]", "[1, 102, 3]"]
    assert [report.metrics[0].value for report in (first, second, third)] == [1, 102, 3]
    assert Thorough.follow_ups == [(CountReading(1), ["[1]"]), (CountReading(2), ["[1, 2]"]), (CountReading(3), ["[1, 102, 3]"])]
