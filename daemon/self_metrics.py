"""Metrics of the daemon itself: collector runs, reloads, log and state."""

from __future__ import annotations

import platform
import time
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

from collectors import disk
from collectors.model import Family, Kind, Metric, Report
from daemon.self_judge import MAX_PATHS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from daemon.job import CollectorJob
    from daemon.logging import LineHandler
    from daemon.state_store import StateStore


def _version() -> str:
    """Return the installed version; `unknown` for a tree that is run without an installation."""
    try:
        return installed_version("vitald")
    except PackageNotFoundError:
        return "unknown"


VERSION = _version()

_BUILD = Family("build", Kind.INFO, "Version of vitald and of Python.", ("version", "python"))
_SUCCESS = Family("collector_success", Kind.GAUGE, "1 if the last run succeeded, 0 if it failed or no run has ended.", ("collector",))
_AVAILABLE = Family(
    "collector_available",
    Kind.GAUGE,
    "1 if the collector is available, else 0 with a reason: missing, unconfigured, permission, failing.",
    ("collector", "reason"),
)
_DURATION = Family("collector_duration_seconds", Kind.GAUGE, "Duration of the last run in seconds.", ("collector",))
_LAST = Family("collector_last_success_timestamp_seconds", Kind.GAUGE, "Unix time of the last successful run in seconds.", ("collector",))
_RUNNING = Family("collector_running_seconds", Kind.GAUGE, "Age of the run in progress in seconds, 0 if idle.", ("collector",))
_SKIPPED = Family(
    "collector_runs_skipped", Kind.COUNTER, "Runs skipped because one was in progress, since the collector's start.", ("collector",)
)
_FAILURES = Family("collector_failures", Kind.COUNTER, "Failed runs since the collector's start.", ("collector",))
_RELOAD = Family("config_last_reload_successful", Kind.GAUGE, "1 if the last reload of the configuration succeeded, else 0.")
_RELOADED = Family(
    "config_last_reload_success_timestamp_seconds", Kind.GAUGE, "Unix time of the last successful configuration load in seconds."
)
_STATE_DROPPED = Family(
    "state_records_dropped",
    Kind.COUNTER,
    "Records of state files that were unusable and were dropped, by slot, since the start; an unusable file counts as one.",
    ("slot",),
)
_STATE_FAILURES = Family(
    "state_save_failures",
    Kind.COUNTER,
    "Writes of state files that failed or did not return in time, since the start; the previous file is kept.",
)
_STATE_AVAILABLE = Family("state_available", Kind.GAUGE, "1 if the state directory is locked and was read, 0 if vitald runs without state.")
_STATE_SAVED = Family("state_last_save_timestamp_seconds", Kind.GAUGE, "Unix time of the last successful save of state in seconds.")
_STATE_UNSAVED = Family("state_unsaved_seconds", Kind.GAUGE, "Age of the oldest state that is not on disk in seconds, 0 if all is saved.")
_ACCESS = Family("disk_access_seconds", Kind.GAUGE, "Age of a disk access in progress in seconds, of those that take over 1 s.", ("path",))
_SLOW_ACCESS_SECONDS = 1.0
_SINCE = Family(
    "health_since_timestamp_seconds", Kind.GAUGE, "Unix time in seconds at which an unhealthy subject got its level.", ("check", "subject")
)
_LINES = Family(
    "log_messages_suppressed",
    Kind.COUNTER,
    "Lines of vitald's own log that were not printed, by reason: folded into a count, or dropped for a full pipe; since the start.",
    ("reason",),
)


class SelfMetrics:
    """Source of the report `vitald`."""

    def __init__(self, log: LineHandler, state: StateStore) -> None:
        self._is_reloaded = True
        self.started = self._reloaded_at = time.time()
        self._log = log
        self._state = state

    def on_reload(self, *, success: bool) -> None:
        """Record the result of a reload."""
        self._is_reloaded = success
        if success:
            self._reloaded_at = time.time()

    @property
    def last_reload(self) -> tuple[bool, float]:
        """Success of the last reload, and the Unix time of the last successful one, or of the start."""
        return self._is_reloaded, self._reloaded_at

    def report(self, jobs: Sequence[CollectorJob], findings: Iterable[tuple[str, str, float]]) -> Report:
        """Return the current metrics; `findings` are check, subject, and Unix time of the level, as of `Board.findings()`."""
        since = (Metric(_SINCE, at, (check, subject)) for check, subject, at in findings)
        return Report("vitald", time.time(), metrics=(*self._daemon(), *_runs(jobs), *since))

    def _daemon(self) -> Iterator[Metric]:
        yield Metric(_BUILD, 1, (VERSION, platform.python_version()))
        yield Metric(_RELOAD, self._is_reloaded)
        yield Metric(_RELOADED, self._reloaded_at)
        yield Metric(_STATE_FAILURES, self._state.failures)
        for slot, dropped in list(self._state.dropped.items()):
            yield Metric(_STATE_DROPPED, dropped, (slot,))
        yield Metric(_STATE_AVAILABLE, self._state.is_open)
        yield Metric(_STATE_UNSAVED, self._state.unsaved_seconds())
        if self._state.last_save is not None:
            yield Metric(_STATE_SAVED, self._state.last_save)
        oldest: dict[str, float] = {}
        for path, seconds in disk.accesses(_SLOW_ACCESS_SECONDS):
            oldest.setdefault(path, seconds)
        for path, seconds in list(oldest.items())[:MAX_PATHS]:
            yield Metric(_ACCESS, seconds, (path,))
        yield Metric(_LINES, self._log.folded, ("folded",))
        yield Metric(_LINES, self._log.dropped, ("dropped",))


def _runs(jobs: Sequence[CollectorJob]) -> Iterator[Metric]:
    for job in jobs:
        name = (job.name,)
        unavailable = job.unavailable
        yield Metric(_SUCCESS, job.success and job.is_measured, name)
        yield Metric(_AVAILABLE, unavailable is None, (job.name, "" if unavailable is None else unavailable.reason))
        yield Metric(_RUNNING, job.running_seconds(), name)
        yield Metric(_SKIPPED, job.skipped, name)
        yield Metric(_FAILURES, job.failures, name)
        if job.duration is not None:
            yield Metric(_DURATION, job.duration, name)
        if job.last_success is not None:
            yield Metric(_LAST, job.last_success, name)
