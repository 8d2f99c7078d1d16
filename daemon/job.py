"""One collector's job: read, judge, follow up, report. The report's metrics are computed when it is first scraped (`OnDemand`)."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from collectors.cardinality import Caps
from collectors.model import Inputs, Report, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from collectors.cardinality import Dropped
    from collectors.collector import Collector
    from collectors.model import Metric, Verdict
    from collectors.panel import Panel

log = logging.getLogger(__name__)

INPUT_SECONDS = 15.0  # how long a run waits for the first run of a collector whose reading it needs
MAX_EVENTS = 64  # newly unhealthy subjects kept for the next run; more samples of one outage add nothing


class OnDemand(Sequence["Metric"]):
    """Metrics that are computed once, by the thread that reads them first."""

    def __init__(self, compute: Callable[[], Sequence[Metric]], lock: threading.Lock) -> None:
        """`lock` is that of the collector, whose caps serve one report at a time."""
        self._compute: Callable[[], Sequence[Metric]] | None = compute
        self._metrics: Sequence[Metric] = ()
        self._lock = lock

    def _computed(self) -> Sequence[Metric]:
        if self._compute is not None:
            with self._lock:
                if self._compute is not None:
                    self._metrics = self._compute()
                    self._compute = None  # releases the reading
        return self._metrics

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 — an int or a slice
        return self._computed()[index]

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._computed())

    def __len__(self) -> int:
        return len(self._computed())


class CollectorJob:
    """A collector, its readings and the state of its runs. `run_once()` is called by one thread at a time."""

    def __init__(self, collector: Collector[Any], settings: Any, dropped: Dropped | None = None) -> None:  # noqa: ANN401 — its own struct
        self.collector = collector
        self.settings = settings
        self.history: deque[Any] = deque(maxlen=collector.keep)
        self.caps = Caps(dropped)
        self.has_started = threading.Event()
        self.has_read = threading.Event()  # set once the first `read()` has ended, also with an error
        self.retired = False
        self.running_since: float | None = None  # monotonic; None while no run is in progress
        self.last_start = 0.0  # monotonic
        self.success = False  # of the last run
        self.is_measured = True  # False after a measure() that failed, until one succeeds
        self.unavailable: Unavailable | None = None
        self.error = ""  # of the last failed run
        self.unread_since = time.time()  # Unix time of the end of the last successful run, or of the start
        self.failures = 0
        self.skipped = 0
        self.duration: float | None = None  # seconds
        self.last_success: float | None = None  # Unix time
        self._report: Report | None = None
        self._unhealthy: deque[str] = deque()
        self._measuring = threading.Lock()

    @property
    def name(self) -> str:
        """The collector's name in settings, flags and labels."""
        return self.collector.name

    def running_seconds(self) -> float:
        """Return the age of the run in progress in seconds, 0 if idle."""
        since = self.running_since
        return 0.0 if since is None else time.monotonic() - since

    def readings(self) -> tuple[Any, ...]:
        """Return a copy of the history, oldest first; from any thread, also while a run is in progress."""
        while True:
            try:
                return tuple(self.history)
            except RuntimeError:  # a run has just appended
                continue

    def panels(self) -> list[Panel]:
        """Return the panels of the newest readings; from any thread, also while a run is in progress."""
        readings = self.readings()
        return list(self.collector.show(readings, self.settings)) if readings else []

    def mark_unhealthy(self, subjects: Iterable[str]) -> None:
        """Keep newly unhealthy subjects of an input for the next run. Called from that input's thread."""
        for subject in subjects:
            if len(self._unhealthy) < MAX_EVENTS:
                self._unhealthy.append(subject)

    def run_once(self, jobs: Callable[[str], CollectorJob | None] = lambda _: None) -> Report:
        """Read, judge, follow up and report. `jobs` finds the job of a collector that this one names in `inputs`."""
        try:
            if self.collector.inputs:
                self.collector.receive(self._inputs(jobs))
            reading = self.collector.read()
            if self._report is not None and reading is self.history[-1]:
                return self._report
            self.history.append(reading)
        finally:
            self.has_read.set()
        self._report = self._judged(reading)
        return self._report

    def _judged(self, reading: Any) -> Report:  # noqa: ANN401 — the collector's own type
        verdicts = self._verdicts()
        detailed = self.collector.follow_up(reading, verdicts)
        if detailed is not None:
            self.history[-1] = reading = detailed
            verdicts = self._verdicts()
        return Report(self.name, time.time(), tuple(verdicts), OnDemand(lambda: self._measure(reading), self._measuring))

    def _verdicts(self) -> list[Verdict]:
        return self.caps.fold_verdicts(self.collector.judge(self.history, self.settings))

    def fail(self, error: Exception) -> None:
        """Count and log a failure of the collector."""
        self.success, self.failures, self.error = False, self.failures + 1, f"{type(error).__name__}: {error}"
        traceback = log.isEnabledFor(logging.DEBUG)
        log.error("collector failed collector=%s error=%s: %s", self.name, type(error).__name__, error, exc_info=traceback)

    def _measure(self, reading: Any) -> Sequence[Metric]:  # noqa: ANN401
        try:
            metrics = self.caps.fold(self.collector.measure(reading, self.settings))
        except Exception as error:  # noqa: BLE001 — the scrape continues with the other collectors
            self.fail(error)
            self.is_measured = False
            return ()
        self.is_measured = True
        return metrics

    def _inputs(self, jobs: Callable[[str], CollectorJob | None]) -> Inputs:
        end = time.monotonic() + INPUT_SECONDS
        readings = {}
        for name in self.collector.inputs:
            job = jobs(name)
            if job is not None and job.has_read.wait(max(0.0, end - time.monotonic())) and (history := job.readings()):
                readings[name] = history[-1]
        newly_unhealthy = dict.fromkeys(self._unhealthy.popleft() for _ in range(len(self._unhealthy)))
        return Inputs(readings, tuple(newly_unhealthy))
