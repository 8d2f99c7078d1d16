"""What the host's logs say: every fault that a signature knows, counted once, and what is going on now."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from collectors.collector import Collector
from collectors.logs import clock, metrics
from collectors.logs.judge import judge
from collectors.logs.matching import samples
from collectors.logs.matching.pack_reloader import PackReloader
from collectors.logs.panels import panels
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
    """Follows the kernel's log, the journal and files."""

    name = "logs"
    Settings: ClassVar[type[Settings]] = LogSettings

    def __init__(self, settings: LogSettings, host: CollectorContext) -> None:
        self._settings = settings
        self._host = host
        self._packs = PackReloader(settings.signature_dirs, host.cache)
        self._poller = FilePoller(self._follow)
        self._recorder: Recorder | None = None
        self._lock = threading.Lock()
        self._closing = False
        self._error: Exception | None = None

    def read(self) -> LogsReading:
        """Read what is new everywhere; what was counted is on disk before anybody hears of it."""
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
                self._recorder = Recorder(self._settings, self._host, self._packs.packs.signatures, self._packs.matcher)
                self._recorder.first_look(lambda: self._closing)
            else:
                self._recorder.look()
            self._recorder.keep()
            self._poll(self._recorder)
            return self._reading(self._recorder)

    def _follow(self) -> bool:
        """Read on between two looks, and say whether that is worth a look; called from the poller's thread."""
        with self._lock:
            if self._closing or self._recorder is None:
                return False
            try:
                self._recorder.look()
                self._poll(self._recorder)
            except Exception as error:  # noqa: BLE001 — the next look raises it, and the runner says so
                self._error = error
            return self._error is not None or self._recorder.news

    def _poll(self, recorder: Recorder) -> None:
        self._poller.set_paths(recorder.sources.polled)
        if recorder.sources.files and recorder.sources.files.behind:
            self._poller.force_next()

    def _reading(self, recorder: Recorder) -> LogsReading:
        now = clock.now()
        sources = recorder.sources
        zeros = {(source, reason): 0 for source, reasons in sources.reasons() for reason in reasons}
        return LogsReading(
            events=dict(recorder.fault_tracker.events),
            last_seen=dict(recorder.fault_tracker.last_seen),
            faults=recorder.fault_tracker.faults(now),
            traffic=tuple(sources.traffic()),
            lost={**zeros, **recorder.lost},
            choice=sources.choice,
            troubles=dict(sources.troubles),
            restarts=sources.journal.restarts if sources.journal else None,
            packs_valid=self._packs.last_reload_successful,
            signatures=self._packs.packs.by_id,
        )

    @staticmethod
    def judge(readings: Sequence[LogsReading], _settings: LogSettings) -> Iterator[Verdict]:
        """Give one verdict a family."""
        reading = readings[-1]
        yield from judge(reading.faults, reading.signatures)

    @staticmethod
    def show(readings: Sequence[LogsReading], _settings: LogSettings) -> Iterator[Panel]:
        """Show where is read, how much, and what was lost."""
        yield from panels(readings[-1])

    @staticmethod
    def measure(reading: LogsReading, _settings: LogSettings) -> Iterator[Metric]:
        """Give every signature's count, and what became of every source."""
        series = metrics.Series()
        metric = series.metric
        for name, count in reading.events.items():
            yield metric(metrics.EVENTS, count, name)
        for name, at in reading.last_seen.items():
            yield metric(metrics.LAST, at, name)
        for traffic in reading.traffic:
            yield from series.traffic(traffic)
        for (source, reason), count in reading.lost.items():
            yield metric(metrics.LOST, count, source, reason)
        for speaker, source in (("kernel", reading.choice.kernel), ("programs", reading.choice.programs)):
            yield metric(metrics.READS, 1, source, speaker)
        for source in ("kmsg", "journal"):
            trouble = reading.troubles.get(source)
            yield metric(metrics.AVAILABLE, trouble is None, source, trouble.reason if trouble else "")
        if reading.restarts is not None:
            yield metric(metrics.RESTARTS, reading.restarts)
        yield metric(metrics.PACKS_VALID, reading.packs_valid)

    def wake_fds(self) -> Iterable[int]:
        """Give the kernel's log, journalctl's pipe, and what says that a file has changed."""
        if self._recorder is None or self._closing:
            return ()
        return (*self._recorder.sources.descriptors(), self._poller.descriptor)

    @classmethod
    def problems(cls, settings: LogSettings) -> Iterable[str]:
        """Name what is wrong with the packs, their samples included."""
        return samples.problems(Path(directory) for directory in settings.signature_dirs)

    def close(self) -> None:
        """Save how far everything was read, and let go."""
        self._closing = True
        self._poller.close()
        if self._lock.acquire(timeout=2):
            try:
                if self._recorder is not None:
                    self._recorder.close()
                    self._recorder = None
            finally:
                self._lock.release()
