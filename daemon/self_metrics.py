"""What the daemon says of itself: the runs of its collectors, its settings, its log, its state."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

from collectors.model import Family, Kind, Metric, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from daemon.job import CollectorJob
    from daemon.logging import LineHandler
    from daemon.state import StateDirectory

VERSION = installed_version("vitald")

_BUILD = Family("build", Kind.INFO, "The version that runs.", ("version", "python"))
_SUCCESS = Family("collector_success", Kind.GAUGE, "1 if the last run worked, 0 if it failed or has never ended.", ("collector",))
_AVAILABLE = Family(
    "collector_available", Kind.GAUGE, "0 where the host has no such thing or we may not read it, with the reason.", ("collector", "reason")
)
_DURATION = Family("collector_duration_seconds", Kind.GAUGE, "How long the last run took.", ("collector",))
_LAST = Family("collector_last_success_timestamp_seconds", Kind.GAUGE, "When a run last worked.", ("collector",))
_RUNNING = Family("collector_running_seconds", Kind.GAUGE, "How long the run that is out has been out; 0 where none is.", ("collector",))
_SKIPPED = Family("collector_runs_skipped", Kind.COUNTER, "Runs not started because the one before was still out.", ("collector",))
_FAILURES = Family("collector_failures", Kind.COUNTER, "Runs that failed.", ("collector",))
_RELOAD = Family("config_last_reload_successful", Kind.GAUGE, "1 if the settings were good when last read.")
_RELOADED = Family("config_last_reload_success_timestamp_seconds", Kind.GAUGE, "When settings were last read and good.")
_STATE_FAILURES = Family("state_save_failures", Kind.COUNTER, "Times the state could not be written; what was saved before is kept.")
_SINCE = Family(
    "health_since_timestamp_seconds", Kind.GAUGE, "Since when a subject that is not healthy has had its level.", ("check", "subject")
)
_LINES = Family("log_messages_suppressed", Kind.COUNTER, "Lines of vitald's own log that were not printed, by why.", ("why",))


class SelfReport:
    """Facts of the daemon that no collector knows."""

    def __init__(self, log: LineHandler, state: StateDirectory | None) -> None:
        self.reload_ok = True
        self.reloaded_at = time.time()
        self._log = log
        self._state = state

    def taken(self) -> None:
        """Note that settings were read and were good."""
        self.reload_ok = True
        self.reloaded_at = time.time()

    def report(self, jobs: Sequence[CollectorJob], findings: Iterable[tuple[str, str, float]]) -> Report:
        """Say how the daemon is, now; `findings` are check, subject, and since when."""
        since = (Metric(_SINCE, at, (check, subject)) for check, subject, at in findings)
        return Report("vitald", time.time(), metrics=(*self._own(), *_runs(jobs), *since))

    def _own(self) -> Iterator[Metric]:
        yield Metric(_BUILD, 1, (VERSION, platform.python_version()))
        yield Metric(_RELOAD, self.reload_ok)
        yield Metric(_RELOADED, self.reloaded_at)
        yield Metric(_STATE_FAILURES, self._state.failures if self._state else 0)
        yield Metric(_LINES, self._log.folded, ("folded",))
        yield Metric(_LINES, self._log.dropped, ("dropped",))


def _runs(jobs: Sequence[CollectorJob]) -> Iterator[Metric]:
    for job in jobs:
        name = (job.name,)
        why = job.unavailable
        yield Metric(_SUCCESS, job.success, name)
        yield Metric(_AVAILABLE, why is None, (job.name, "" if why is None else why.reason))
        yield Metric(_RUNNING, job.running_seconds(), name)
        yield Metric(_SKIPPED, job.skipped, name)
        yield Metric(_FAILURES, job.failures, name)
        if job.duration is not None:
            yield Metric(_DURATION, job.duration, name)
        if job.last_success is not None:
            yield Metric(_LAST, job.last_success, name)
