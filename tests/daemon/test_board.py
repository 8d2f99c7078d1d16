import logging
import time
from typing import Any
from unittest.mock import Mock

import pytest

from collectors.model import Level, NoSlot, Report, Verdict
from daemon.board import Board, SavedLevel
from tests.kit.slots import Kept


def report(*levels: Level, name: str = "probe") -> Report:
    verdicts = (Verdict("tcp_probe", f"host{n}:22", level, f"message {n}", remediation="restart it") for n, level in enumerate(levels))
    return Report(name, time.time(), tuple(verdicts))


def test_a_scrape_sees_the_latest_report_of_each_collector() -> None:
    board = Board(NoSlot())
    board.publish(report(Level.HEALTHY))
    board.publish(newest := report(Level.CRITICAL))
    board.publish(other := report(name="nic"))
    assert board.reports() == (newest, other)
    board.withdraw("probe")
    assert board.reports() == (other,)


def test_a_change_is_logged_once_with_its_remediation_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    board = Board(NoSlot())
    for level in (Level.HEALTHY, Level.CRITICAL, Level.CRITICAL, Level.HEALTHY):
        board.publish(report(level))
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("ERROR", "tcp_probe host0:22 critical: message 0; restart it"),
        ("INFO", "tcp_probe host0:22 healthy: was critical for 0s"),
    ]


@pytest.mark.fault(40)
def test_a_clock_that_was_set_back_makes_no_duration_negative(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    slot = Kept()
    slot.save([["tcp_probe", "host0:22", 2, time.time() + 3600]])
    Board(slot).publish(report(Level.HEALTHY))
    assert [r.getMessage() for r in caplog.records] == ["tcp_probe host0:22 healthy: was critical for 0s"]


def test_findings_are_unhealthy_subjects_and_the_time_of_their_level() -> None:
    board = Board(NoSlot())
    board.publish(report(Level.CRITICAL))
    ((check, subject, since),) = board.findings()
    assert (check, subject, since) == ("tcp_probe", "host0:22", board.since(board.reports()[0].verdicts[0]))
    board.publish(report(Level.HEALTHY))
    assert not list(board.findings())


def test_a_subject_that_another_replaces_is_forgotten() -> None:
    """Links and targets that come and go in equal number must not accumulate."""
    board = Board(slot := Kept())
    for number in range(50):
        board.publish(
            Report("nic", time.time(), tuple(Verdict("nic_link", f"veth{n}", Level.WARNING, "") for n in range(number, number + 3)))
        )
    assert len(board._since) == 3
    board.save()
    assert [row.subject for row in slot.load(list[SavedLevel])] == ["veth49", "veth50", "veth51"]


def test_the_order_of_verdicts_and_equal_verdicts_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    board = Board(slot := Kept(), lambda: changes.append(1))
    changes: list[int] = []
    first = report(Level.CRITICAL, Level.HEALTHY)
    assert board.publish(first) == ["host0:22"]
    since = [board.since(verdict) for verdict in first.verdicts]
    board.save()
    slot.data = None
    for verdicts in (first.verdicts, report(Level.CRITICAL, Level.HEALTHY).verdicts, first.verdicts[::-1]):
        assert board.publish(Report("probe", time.time(), verdicts)) == []
    board.save()
    assert ([board.since(verdict) for verdict in first.verdicts], slot.data, len(changes), len(caplog.records)) == (since, None, 1, 1)


def test_the_time_of_a_level_outlives_a_restart() -> None:
    slot = Kept()
    board = Board(slot)
    board.publish(report(Level.CRITICAL))
    bad = board.reports()[0].verdicts[0]
    began = board.since(bad)
    board.save()
    again = Board(slot)
    again.publish(report(Level.CRITICAL))
    assert again.since(bad) == began
    assert again.since(Verdict("tcp_probe", "host0:22", Level.HEALTHY)) >= began


def test_a_subject_that_is_gone_is_forgotten() -> None:
    slot = Kept()
    board = Board(slot)
    board.publish(report(Level.CRITICAL, Level.CRITICAL))
    board.publish(report(Level.CRITICAL))
    board.save()
    assert [row[:3] for row in slot.load(list[SavedLevel])] == [("tcp_probe", "host0:22", 2)]


@pytest.mark.parametrize("saved", [None, 7, [1], [["a"]], [["a", "b", "c", "d"]], {"a": 1}])
def test_saved_values_of_another_shape_are_ignored(saved: Any) -> None:
    Board(Kept.of(saved)).publish(report(Level.HEALTHY))


@pytest.mark.fault(170)
def test_a_clock_that_is_set_back_moves_a_time_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [2e9]
    monkeypatch.setattr("daemon.board.time", clock := Mock(wraps=time))
    clock.time, clock.clock_gettime = lambda: now[0], lambda _: now[0] - 1e9 if now[0] >= 2e9 else now[0] - 1e9 + 3600
    board = Board(Kept())
    board.publish(report(Level.CRITICAL))
    (bad,) = board.reports()[0].verdicts
    now[0] += 60
    assert board.since(bad) == 2e9
    now[0] += 60 - 3600
    assert board.since(bad) == pytest.approx(now[0] - 120), "the age is kept"
    since = board.since(bad)
    now[0] += 30
    assert board.since(bad) == since
