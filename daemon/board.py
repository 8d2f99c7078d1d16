"""Board: each collector's newest report, shared between the runner's and the exporter's threads; logs changes of level."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from msgspec import Meta

from collectors.model import Level, Report, Verdict
from collectors.state import Text, UnixTime  # noqa: TC001 — msgspec reads the annotations
from collectors.text import two_units

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    from collectors.model import Slot

log = logging.getLogger("vitald.health")

_LOG_LEVEL = {Level.HEALTHY: logging.INFO, Level.UNKNOWN: logging.WARNING, Level.WARNING: logging.WARNING, Level.CRITICAL: logging.ERROR}
_NO_FAULT = (Level.HEALTHY, Level.UNKNOWN)
_Subject = tuple[str, str]  # check, subject


class _Since(NamedTuple):
    """Level of a subject, and when it got it: Unix time, and seconds since boot."""

    level: int
    at: float
    boottime: float


class SavedLevel(NamedTuple):
    """Level of a subject, and the Unix time in seconds at which it got it; a row of health.json."""

    check: Text
    subject: Text
    level: Annotated[int, Meta(ge=0, le=3)]
    since: UnixTime


class Board:
    """Reports by collector, and when each subject got its level.

    Writers hold the lock. The dictionary of reports is replaced and never modified, so that readers need no lock.
    """

    def __init__(self, slot: Slot, on_change: Callable[[], None] = lambda: None) -> None:
        self._lock = threading.Lock()
        self._reports: dict[str, Report] = {}
        self._since = _saved_levels(slot)
        self._slot = slot
        self._dirty = False
        self._on_change = on_change

    def adopt(self, slot: Slot, renewed: Container[str] = ()) -> None:
        """Adopt the levels saved in a slot that could not be read before, so that a fault keeps its age.

        Those that the collectors `renewed` reported without their state are forgotten.
        """
        saved = _saved_levels(slot)
        with self._lock:
            self._slot = slot
            provisional = _subjects(report for report in self._reports.values() if report.collector in renewed)
            for subject, since in saved.items():
                now = self._since.get(subject, since)
                if subject in provisional or (now.level == since.level and since.at <= now.at):
                    self._since[subject] = since
            self._dirty = True

    def publish(self, report: Report) -> list[str]:
        """Store a collector's newest report and log each change of level; return the subjects that became faulty."""
        with self._lock:
            before = self._reports.get(report.collector)
            if before is report:
                return []
            self._reports = {**self._reports, report.collector: report}
            changes = self._store_levels(report, before)
        for change in changes:
            log.log(*_message(*change))
        if changes or before is None:
            self._on_change()
        return [verdict.subject for verdict, old, _ in changes if verdict.level.is_fault and old in _NO_FAULT]

    def withdraw(self, collector: str) -> None:
        """Remove the report of a collector that was stopped or has become unavailable."""
        with self._lock:
            if collector not in self._reports:
                return
            self._reports = {name: report for name, report in self._reports.items() if name != collector}
        self._on_change()

    def reports(self) -> tuple[Report, ...]:
        """Return every collector's newest report."""
        return tuple(self._reports.values())

    def since(self, verdict: Verdict) -> float:
        """Return when (Unix time, seconds) the subject got this level; now for a level that it does not have."""
        key, now = (verdict.check, verdict.subject), time.time()
        with self._lock:
            known = self._since.get(key)
            if known is None or known.level != verdict.level:
                return now
            if known.at > now:  # the wall clock was set back: corrected once, by the age, so that it does not move with the clock
                age = time.clock_gettime(time.CLOCK_BOOTTIME) - known.boottime
                known = self._since[key] = known._replace(at=now - max(0.0, age))
                self._dirty = True
        return known.at

    def findings(self) -> Iterator[tuple[str, str, float]]:
        """Yield each faulty subject as check, subject, and Unix time in seconds at which it got its level."""
        for report in self.reports():
            for verdict in report.verdicts:
                if verdict.level.is_fault:
                    yield verdict.check, verdict.subject, self.since(verdict)

    def save(self) -> None:
        """Save levels and their times, so that a fault keeps its age over a restart."""
        with self._lock:
            if not self._dirty:
                return
            self._dirty = False
            current = _subjects(self._reports.values())
            rows = [SavedLevel(*subject, since.level, since.at) for subject, since in self._since.items() if subject in current]
        self._slot.save(rows)

    def _store_levels(self, report: Report, before: Report | None) -> list[tuple[Verdict, int, float]]:
        """Store each subject's level; return those that changed, with the level before and how long it lasted in seconds."""
        now = time.time()
        changes: list[tuple[Verdict, int, float]] = []
        is_same_length = before is not None and len(before.verdicts) == len(report.verdicts)
        arrived = False  # with as many subjects as before, one may have replaced another
        for verdict in _changed(report.verdicts, before.verdicts) if before is not None and is_same_length else report.verdicts:
            key = (verdict.check, verdict.subject)
            arrived = arrived or key not in self._since
            old, at, _ = self._since.get(key, (Level.HEALTHY, now, 0.0))
            if key not in self._since or old != verdict.level:
                self._since[key] = _Since(int(verdict.level), now, time.clock_gettime(time.CLOCK_BOOTTIME))
                self._dirty = True
            if old != verdict.level:
                changes.append((verdict, old, now - at))
        if before is not None and (arrived or not is_same_length):
            for key in _subjects((before,)) - _subjects((report,)):
                self._since.pop(key, None)
                self._dirty = True
        return changes


def _subjects(reports: Iterable[Report]) -> set[_Subject]:
    return {(verdict.check, verdict.subject) for report in reports for verdict in report.verdicts}


def _changed(verdicts: Sequence[Verdict], before: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts whose check, subject or level differs from the one at the same index before: mostly none."""
    return [
        verdict
        for verdict, old in zip(verdicts, before, strict=True)
        if verdict is not old and (verdict.level != old.level or verdict.subject != old.subject or verdict.check != old.check)
    ]


def _message(verdict: Verdict, old: int, lasted: float) -> tuple[Any, ...]:
    if verdict.level is Level.HEALTHY:
        level, duration = Level(old).name.lower(), two_units(max(0.0, lasted), "")
        return logging.INFO, "%s %s healthy: was %s for %s", verdict.check, verdict.subject, level, duration
    message = f"{verdict.message}; {verdict.remediation}" if verdict.remediation else verdict.message
    return _LOG_LEVEL[verdict.level], "%s %s %s: %s", verdict.check, verdict.subject, verdict.level.name.lower(), message


def _saved_levels(slot: Slot) -> dict[_Subject, _Since]:
    now, boottime = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    return {
        (row.check, row.subject): _Since(row.level, row.since, boottime - max(0.0, now - row.since)) for row in slot.load(list[SavedLevel])
    }
