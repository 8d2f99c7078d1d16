"""The runner: collectors run independently of each other."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from collectors.model import Verdict
from tests.daemon.runs import Absent, CountReading, Counts, Fails, Hangs, Start, job, until


def test_a_collector_runs_again_and_again_with_its_history(start: Start) -> None:
    daemon = start(job(Counts()))
    until(lambda: daemon.runs("counts") >= 5)
    numbers = daemon.board.reports()[0].verdicts[0].message
    assert len(numbers.split(",")) == 3


@pytest.mark.fault(1)
def test_a_failing_collector_does_not_affect_the_others(start: Start) -> None:
    daemon = start(bad := job(Fails()), job(Counts()))
    until(lambda: daemon.runs("counts") >= 3 and bad.failures >= 2)
    assert bad.success is False
    assert [report.collector for report in daemon.board.reports()] == ["counts"]


@pytest.mark.fault(1)
def test_an_error_in_judge_is_a_failure_too(start: Start) -> None:
    class Misjudges(Counts):
        @staticmethod
        def judge(readings: Sequence[CountReading], _settings: Any, /) -> Iterator[Verdict]:
            raise ZeroDivisionError(len(readings))

    daemon = start(bad := job(Misjudges()))
    until(lambda: bad.failures >= 2)
    assert daemon.board.reports() == ()


@pytest.mark.fault(2)
def test_a_collector_that_hangs_in_its_first_run_is_reported_and_started_once(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    daemon = start(stuck := job(Hangs(tmp_path / "fifo")), job(Counts()))
    until(lambda: daemon.runs("counts") >= 5 and stuck.skipped >= 3)
    assert stuck.running_seconds() > 0.2
    assert stuck.collector.runs == 1  # type: ignore[attr-defined]  # Counts has it
    assert stuck.success is False
    assert [t.name for t in daemon.runner.jobs()] == ["hangs", "counts"]
    (tmp_path / "fifo").write_bytes(b"")  # as if the mount were back
    until(lambda: stuck.success)


def test_an_unavailable_collector_is_no_failure(start: Start) -> None:
    start(absent := job(Absent()))
    until(lambda: absent.last_success is not None)
    assert absent.success
    assert absent.failures == 0
    assert absent.unavailable is not None
    assert absent.unavailable.reason == "missing"


def test_a_collector_whose_settings_did_not_change_keeps_its_history(start: Start) -> None:
    kept, old, new = job(Counts()), job(Fails()), job(Absent())
    daemon = start(kept, old)
    until(lambda: daemon.runs("counts") >= 3)
    daemon.runner.replace({"counts": kept, "absent": new})
    until(new.has_started.is_set)
    assert old.collector.closed  # type: ignore[attr-defined]  # Counts has it
    assert daemon.runs("counts") >= 3
    assert {t.name for t in daemon.runner.jobs()} == {"counts", "absent"}


def test_a_late_report_of_a_replaced_collector_is_not_published(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    old = job(Hangs(tmp_path / "fifo"))
    daemon = start(old)
    daemon.runner.replace({})
    (tmp_path / "fifo").write_bytes(b"")
    until(lambda: old.success)
    assert daemon.board.reports() == ()


def test_a_failing_close_stops_nothing(start: Start) -> None:
    class CloseFails(Counts):
        def close(self) -> None:
            raise OSError("no")

    daemon = start(failing := job(CloseFails()))
    daemon.runner.replace({})
    assert failing.retired


@pytest.mark.fault(12)
def test_the_heartbeat_is_in_the_schedulers_thread_and_stops_with_it(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    daemon = start(job(Hangs(tmp_path / "fifo")))
    until(lambda: daemon.beats >= 3)  # a hung collector is not a stuck scheduler
    threads: list[str] = []
    daemon.runner._scheduler.add_job(lambda: threads.append(threading.current_thread().name), executor="inline", misfire_grace_time=None)
    until(lambda: bool(threads))
    assert threads == ["APScheduler"]
    with daemon.runner._scheduler._jobstores_lock:  # the scheduler is stuck while this is held
        time.sleep(0.3)
        before = daemon.beats
        time.sleep(0.5)
        assert daemon.beats <= before + 1
    until(lambda: daemon.beats > before + 2)


@pytest.mark.fault(170)
def test_the_hanging_run_of_a_replaced_collector_does_not_stop_its_successor(start: Start, tmp_path: Path) -> None:
    class Successor(Counts):
        name = "hangs"

    os.mkfifo(tmp_path / "fifo")
    old, new = job(Hangs(tmp_path / "fifo")), job(Successor())
    daemon = start(old)
    daemon.runner.replace({"hangs": new})
    until(lambda: new.success)
    assert (new.skipped, old.running_since is not None) == (0, True)
    (tmp_path / "fifo").write_bytes(b"")
