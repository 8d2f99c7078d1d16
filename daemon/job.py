"""One collector's course through the house."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from collectors.cardinality import Caps
from collectors.model import Report, Unavailable

if TYPE_CHECKING:
    from collectors.cardinality import Dropped
    from collectors.collector import Collector
    from collectors.model import Verdict
    from collectors.panel import Panel


class Track:
    """One collector's course: its history, and how its runs have gone."""

    def __init__(self, collector: Collector[Any], settings: Any, dropped: Dropped | None = None) -> None:  # noqa: ANN401 — its own struct
        self.collector = collector
        self.settings = settings
        self.history: deque[Any] = deque(maxlen=collector.keep)
        self.caps = Caps(dropped)
        self.begun = threading.Event()
        self.retired = False
        self.started: float | None = None  # monotonic; None while no run is out
        self.began = 0.0  # monotonic: the last run's start
        self.success = False
        self.unavailable: Unavailable | None = None
        self.failures = 0
        self.skipped = 0
        self.duration: float | None = None  # seconds
        self.last_success: float | None = None  # Unix time

    @property
    def name(self) -> str:
        """Name the collector as settings and labels do."""
        return self.collector.name

    def running_seconds(self) -> float:
        """Say how long the run that is out has been out; 0 where none is."""
        started = self.started
        return 0.0 if started is None else time.monotonic() - started

    def panels(self) -> list[Panel]:
        """Show the last readings to people; called from any thread, while a run may be out."""
        while True:
            try:
                readings = tuple(self.history)
                break
            except RuntimeError:  # a run has just appended
                continue
        return list(self.collector.show(readings)) if readings else []

    def look(self) -> Report:
        """Go the house's one way: read, judge, measure, report."""
        self.history.append(self.collector.read())
        verdicts: list[Verdict] = self.caps.fold_verdicts(self.collector.judge(self.history))
        metrics = self.caps.fold(self.collector.measure(self.history[-1]))
        return Report(self.name, time.time(), tuple(verdicts), tuple(metrics))
