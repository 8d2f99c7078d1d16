"""The latest report of each collector: the one place where threads meet."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Report, Verdict
from collectors.text import two_units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from collectors.model import Slot

log = logging.getLogger("vitald.health")

_LOG_LEVEL = {Level.HEALTHY: logging.INFO, Level.WARNING: logging.WARNING, Level.CRITICAL: logging.ERROR}
_Subject = tuple[str, str]  # check, subject


class Board:
    """Reports by collector, and since when each subject has been what it is.

    Writers hold the lock; readers take the dictionary as it is, which is replaced and never changed, so a scrape waits for nobody.
    """

    def __init__(self, slot: Slot, changed: Callable[[], None] = lambda: None) -> None:
        self._lock = threading.Lock()
        self._reports: dict[str, Report] = {}
        self._since: dict[_Subject, tuple[int, float]] = _remembered(slot.load())
        self._slot = slot
        self._dirty = False
        self._changed = changed

    def publish(self, report: Report) -> list[str]:
        """Store a collector's newest report and log each change of level; return the subjects that left `Level.HEALTHY`."""
        with self._lock:
            before = self._reports.get(report.collector)
            if before is report:
                return []
            self._reports = {**self._reports, report.collector: report}
            changes = self._note_levels(report, before)
        for verdict, _, lasted in changes:
            log.log(*_message(verdict, lasted))
        if changes:
            self._changed()
        return [verdict.subject for verdict, old, _ in changes if old == Level.HEALTHY]

    def withdraw(self, collector: str) -> None:
        """Take down the report of a collector that is gone, or that has nothing to look at any more."""
        with self._lock:
            self._reports = {name: report for name, report in self._reports.items() if name != collector}
        self._changed()

    def reports(self) -> tuple[Report, ...]:
        """Give every collector's latest report."""
        return tuple(self._reports.values())

    def since(self, verdict: Verdict) -> float:
        """Say since when (Unix time, seconds) this subject has had this level."""
        level, at = self._since.get((verdict.check, verdict.subject), (-1, time.time()))
        return min(at, time.time()) if level == verdict.level else time.time()

    def findings(self) -> Iterator[tuple[str, str, float]]:
        """Give check, subject, and since when (Unix time, seconds), of each subject that is not healthy now."""
        for report in self.reports():
            for verdict in report.verdicts:
                if verdict.level:
                    yield verdict.check, verdict.subject, self.since(verdict)

    def summary(self) -> str:
        """Say in one line how the host is, the worst finding first."""
        verdicts = [verdict for report in self._reports.values() for verdict in report.verdicts]
        bad = sorted((v for v in verdicts if v.level), key=lambda v: (-v.level, v.check, v.subject))
        if not bad:
            return f"healthy: {len(verdicts)} subjects of {len(self._reports)} collectors"
        critical = sum(verdict.level is Level.CRITICAL for verdict in bad)
        counts = f"{critical} critical, {len(bad) - critical} warning, {len(verdicts) - len(bad)} healthy"
        return f"{counts}: {bad[0].check} {bad[0].subject}: {bad[0].message}"

    def save(self) -> None:
        """Keep what began when, so that a restart does not make an old fault look new."""
        with self._lock:
            if not self._dirty:
                return
            self._dirty = False
            here = {(verdict.check, verdict.subject) for report in self._reports.values() for verdict in report.verdicts}
            rows = [[*subject, *known] for subject, known in self._since.items() if subject in here]
        self._slot.save(rows)

    def _note_levels(self, report: Report, before: Report | None) -> list[tuple[Verdict, int, float]]:
        """Store each subject's level; return those that changed, with the level before and how long it lasted in seconds."""
        now = time.time()
        changes: list[tuple[Verdict, int, float]] = []
        arrived = False  # as many subjects as before may be others: who came tells that somebody may have left
        for verdict in report.verdicts:
            key = (verdict.check, verdict.subject)
            arrived = arrived or key not in self._since
            old, at = self._since.get(key, (Level.HEALTHY, now))
            if key not in self._since or old != verdict.level:
                self._since[key] = (int(verdict.level), now)
                self._dirty = True
            if old != verdict.level:
                changes.append((verdict, old, now - at))
        if before is not None and (arrived or len(before.verdicts) != len(report.verdicts)):
            self._forget(before.verdicts, report.verdicts)
        return changes

    def _forget(self, before: Iterable[Verdict], now: Iterable[Verdict]) -> None:
        kept = {(verdict.check, verdict.subject) for verdict in now}
        for verdict in before:
            if (verdict.check, verdict.subject) not in kept:
                self._since.pop((verdict.check, verdict.subject), None)
                self._dirty = True


def _message(verdict: Verdict, lasted: float) -> tuple[Any, ...]:
    if verdict.level is Level.HEALTHY:
        return logging.INFO, "%s %s is healthy again after %s", verdict.check, verdict.subject, two_units(max(0.0, lasted), "")
    remediation = f"; {verdict.remediation}" if verdict.remediation else ""
    return (
        _LOG_LEVEL[verdict.level],
        "%s %s %s: %s%s",
        verdict.check,
        verdict.subject,
        verdict.level.name.lower(),
        verdict.message,
        remediation,
    )


def _remembered(rows: Any) -> dict[_Subject, tuple[int, float]]:  # noqa: ANN401 — whatever the file held
    """Read saved rows `[check, subject, level, since]`; rows of another shape are dropped."""
    known: dict[_Subject, tuple[int, float]] = {}
    for row in rows if isinstance(rows, list) else ():
        match row:
            case [str(check), str(subject), int(level), float() | int() as at]:
                known[check, subject] = (level, float(at))
    return known
