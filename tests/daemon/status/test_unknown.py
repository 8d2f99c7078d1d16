"""What cannot be told is neither healthy nor forgotten: verdicts of level unknown."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from collectors.cardinality import Dropped
from collectors.model import Level, NoSlot, Report, Unavailable, Verdict, worst_level
from collectors.registry import COLLECTORS
from daemon.board import Board
from daemon.status import unknown
from exporters.prometheus.exposition.families import export
from tests.daemon.runs import Absent, Counts, Daemon, Fails, Hangs, Start, job, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemon.job import CollectorJob

CONTRACT = Path(__file__).parents[3] / "docs/contract.md"


class Denied(Counts):
    """Collector that can be read until it is denied."""

    name = "denied"
    checks = ("area", "other_area")
    denied = False
    level = Level.HEALTHY

    def read(self) -> Any:
        if self.denied:
            raise Unavailable("permission", "/proc/area: Permission denied")
        return super().read()

    @staticmethod
    def judge(_readings: Sequence[Any], _settings: Any, /) -> Iterator[Verdict]:
        yield Verdict("area", "one", Denied.level, "of the reading")
        yield Verdict("area", "two", Level.HEALTHY)


class Breaks(Denied):
    def read(self) -> Any:
        if self.denied:
            raise OSError(5, "Input/output error")
        return super().read()


def found(daemon: Daemon) -> list[tuple[str, str, str]]:
    """Return check, subject and level of all findings, the worst first."""
    rows = sorted((verdict for verdict, _ in unknown.findings(daemon.board, daemon.runner.jobs())), key=unknown.worst_first)
    return [(verdict.check, verdict.subject, verdict.level.name) for verdict in rows]


def ended(task: CollectorJob) -> bool:
    return task.last_success is not None or task.failures > 0


def test_unknown_is_worse_than_healthy_and_a_known_fault_is_worse_than_both() -> None:
    assert worst_level([Level.HEALTHY, Level.UNKNOWN]) is Level.UNKNOWN
    assert worst_level([Level.UNKNOWN, Level.WARNING, Level.HEALTHY]) is Level.WARNING
    assert worst_level(Level) is Level.CRITICAL
    assert worst_level([]) is Level.HEALTHY
    assert [int(level) for level in (Level.HEALTHY, Level.WARNING, Level.CRITICAL, Level.UNKNOWN)] == [0, 1, 2, 3], "Nagios' statuses"


def test_an_unknown_subject_has_no_health_series() -> None:
    verdicts = (Verdict("a", "known", Level.WARNING), Verdict("a", "unknown", Level.UNKNOWN))
    ((family,),) = [list(export(Report("x", 0.0, verdicts), Dropped()))]
    assert [(sample.labels["subject"], sample.value) for sample in family.metric.samples] == [("known", 1.0)]


@pytest.mark.fault(146)
@pytest.mark.parametrize("kind", [Denied, Breaks])
def test_a_collector_that_can_no_longer_be_read_is_unknown_and_not_healthy(start: Start, kind: type[Denied]) -> None:
    task = job(kind())
    daemon = start(task)
    until(lambda: bool(daemon.board.reports()))
    assert found(daemon) == [("area", "one", "HEALTHY"), ("area", "two", "HEALTHY")]
    task.collector.denied = True  # type: ignore[attr-defined]
    until(lambda: unknown.of_job(task) is not None)
    assert found(daemon) == [("area", "denied", "UNKNOWN"), ("other_area", "denied", "UNKNOWN")]
    task.collector.denied = False  # type: ignore[attr-defined]
    until(lambda: unknown.of_job(task) is None and len(daemon.board.reports()) == 1)
    assert found(daemon) == [("area", "one", "HEALTHY"), ("area", "two", "HEALTHY")]


@pytest.mark.fault(146)
def test_a_fault_that_was_found_before_the_runs_failed_is_kept(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Denied, "level", Level.CRITICAL)
    task = job(Breaks())
    daemon = start(task)
    until(lambda: bool(daemon.board.reports()))
    task.collector.denied = True  # type: ignore[attr-defined]
    until(lambda: unknown.of_job(task) is not None)
    assert found(daemon)[0] == ("area", "one", "CRITICAL")
    assert ("area", "two", "HEALTHY") not in found(daemon)


def test_what_the_host_does_not_have_is_not_unknown(start: Start) -> None:
    task = job(Absent())
    daemon = start(task)
    until(lambda: ended(task))
    assert unknown.of_job(task) is None
    assert found(daemon) == []


def test_a_collector_that_hangs_is_unknown(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown, "STUCK_SECONDS", 0.3)
    monkeypatch.setattr(Hangs, "checks", ("waiting",), raising=False)
    os.mkfifo(tmp_path / "fifo")
    task = job(Hangs(tmp_path / "fifo"))
    daemon = start(task)
    until(lambda: (obstacle := unknown.of_job(task)) is not None and obstacle.state == "stuck")
    assert found(daemon) == [("waiting", "hangs", "UNKNOWN")]


def test_the_line_of_systemctl_status_has_the_worst_finding_and_since_when(start: Start) -> None:
    daemon = start(job(Fails()))
    daemon.runner.stop()
    assert unknown.summary([]) == "no readings yet"
    at = 1_700_000_000.0
    verdicts = [
        Verdict("nic_mtu", "eth0", Level.HEALTHY),
        Verdict("tcp_probe", "10.0.0.5:22", Level.CRITICAL, "timed\nout"),
        Verdict("a", "b", Level.UNKNOWN),
    ]
    line = unknown.summary([(verdict, at) for verdict in verdicts])
    assert line == r"1 critical, 1 unknown, 1 healthy: tcp_probe 10.0.0.5:22 since 2023-11-14T22:13:20Z: timed\nout"
    assert len(unknown.summary([(Verdict("a", "b", Level.WARNING, "x" * 10_000), at)])) == unknown.MAX_SUMMARY


def test_an_unknown_subject_keeps_the_time_of_its_level_and_starts_no_dependent_run() -> None:
    board = Board(NoSlot())
    dark = Verdict("memory_log", "memory", Level.UNKNOWN, "could not tell")
    assert board.publish(Report("logs", 0.0, (dark,))) == []
    before = board.since(dark)
    time.sleep(0.01)
    assert board.publish(Report("logs", 0.0, (dark,))) == []
    assert board.since(dark) == before
    assert not list(board.findings()), "no series of a level that has no number"
    assert board.publish(Report("logs", 0.0, (Verdict("memory_log", "memory", Level.CRITICAL),))) == ["memory"]


def test_every_check_of_the_contract_belongs_to_a_collector() -> None:
    (line,) = [line for line in CONTRACT.read_text().splitlines() if line.startswith("Checks (`vitald_health`'s `check`)")]
    listed = {word.strip("`., ") for word in line.partition("):")[2].split()}
    assert listed == {check for collector in COLLECTORS.values() for check in collector.checks}
