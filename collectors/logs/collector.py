"""Logs collector: counts each fault that matches a signature once, and judges those that are open."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from collectors.collector import Collector
from collectors.logs import clock
from collectors.logs.judge import CHECKS, judge
from collectors.logs.matching import samples
from collectors.logs.matching.pack_reloader import PackReloader
from collectors.logs.metrics import metrics_of
from collectors.logs.panels import sources_panel
from collectors.logs.reading import LogsReading
from collectors.logs.recorder import Recorder
from collectors.logs.settings import LogSettings
from collectors.logs.tailing.poller import FilePoller
from collectors.model import Metric, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from collectors.model import CollectorContext, Verdict
    from collectors.panel import Panel
    from collectors.settings import Settings


class LogsCollector(Collector[LogsReading]):
    """Follows the kernel log, the journal and log files."""

    name = "logs"
    checks = tuple(CHECKS.values())
    needs_history = dict.fromkeys(CHECKS.values(), "faults whose lines are no longer kept")
    Settings: ClassVar[type[Settings]] = LogSettings

    def __init__(self, settings: LogSettings, context: CollectorContext) -> None:
        self._settings = settings
        self._context = context
        self._packs = PackReloader(settings.signature_dirs, context.cache, settings.ignored_interfaces)
        self._poller = FilePoller(self._follow)
        self._recorder: Recorder | None = None
        self._lock = threading.Lock()
        self._closing = False
        self._error: Exception | None = None

    def read(self) -> LogsReading:
        """Read what is new in all sources; what was counted is on disk before the reading is returned, unless the disk hangs."""
        with self._lock:
            if self._closing:
                raise Unavailable("unconfigured", "the daemon is stopping")
            self._poller.drain()
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._packs.refresh() and self._recorder is not None:
                self._recorder.close()
                self._recorder = None
            if self._recorder is None:
                self._recorder = Recorder(self._settings, self._context, self._packs.packs.signatures, self._packs.matcher)
                self._recorder.read_backlog(lambda: self._closing)
            else:
                self._recorder.read()
            self._recorder.save()
            self._update_poller(self._recorder)
            return self._reading(self._recorder)

    def _follow(self) -> bool:
        """Read between two runs; return whether the collector has to run. Called from the poller's thread."""
        with self._lock:
            if self._closing or self._recorder is None:
                return False
            try:
                self._recorder.read()
                self._update_poller(self._recorder)
            except Exception as error:  # noqa: BLE001 — the next run raises it, and the runner logs it
                self._error = error
            return self._error is not None or self._recorder.is_dirty

    def _update_poller(self, recorder: Recorder) -> None:
        self._poller.set_paths(recorder.sources.polled_paths)
        if recorder.sources.files and not recorder.sources.files.drained:
            self._poller.force_next()

    def _reading(self, recorder: Recorder) -> LogsReading:
        sources = recorder.sources
        zeros = {(source, reason): 0 for source, reasons in sources.loss_reasons() for reason in reasons}
        return LogsReading(
            events=dict(recorder.fault_tracker.events),
            last_seen=dict(recorder.fault_tracker.last_seen),
            faults=recorder.fault_tracker.faults(clock.now()),
            stats=tuple(sources.stats()),
            lost={**zeros, **recorder.lost},
            selection=sources.selection,
            unavailable=dict(sources.unavailable),
            journal_restarts=sources.journal.reader.restarts if sources.journal else None,
            packs_valid=self._packs.last_reload_successful,
            coverage=sources.coverage(),
            signatures=self._packs.packs.by_id,
            lost_at=recorder.recent_losses(),
        )

    @staticmethod
    def judge(readings: Sequence[LogsReading], _settings: LogSettings) -> Iterator[Verdict]:
        """Return one verdict per family."""
        return judge(readings[-1])

    @staticmethod
    def measure(reading: LogsReading, _settings: LogSettings) -> Iterator[Metric]:
        """Return the counts of each signature, and the state of each source."""
        return metrics_of(reading)

    @staticmethod
    def show(readings: Sequence[LogsReading], _settings: LogSettings) -> Iterator[Panel]:
        """Yield a panel of the sources: what was read, lost and is missing, and why others are not read."""
        yield sources_panel(readings[-1])

    def wake_fds(self) -> Iterable[int]:
        """Return the kernel log, journalctl's pipe, and the file poller's eventfd."""
        if self._recorder is None or self._closing:
            return ()
        return (*self._recorder.sources.wake_fds(), self._poller.descriptor)

    @classmethod
    def problems(cls, settings: LogSettings) -> Iterable[str]:
        """Return what is wrong with the signature packs and their samples."""
        return samples.problems(Path(directory) for directory in settings.signature_dirs)

    def close(self) -> None:
        """Save, and close the sources."""
        self._closing = True
        self._poller.close()
        if self._lock.acquire(timeout=2):
            try:
                if self._recorder is not None:
                    self._recorder.close()
                    self._recorder = None
            finally:
                self._lock.release()
