"""Runs of `vitald check`: every collector in a thread of its own, so that one that hangs costs only its own result."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from collectors.model import Unavailable
from collectors.registry import COLLECTORS
from daemon.job import CollectorJob
from daemon.status import unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.model import CollectorContext, Report, Verdict
    from collectors.panel import Panel
    from collectors.settings import Settings

DEADLINE_SECONDS = 20.0


class CollectorRun:
    """One collector's run and its result. The job is added to `jobs`, in which the runs find the collectors that are their inputs."""

    def __init__(self, name: str, settings: Settings, context: CollectorContext, jobs: dict[str, CollectorJob]) -> None:
        self.name = name
        self.report: Report | None = None
        self.panels: list[Panel] = []
        self.error = ""
        self.unavailable: Unavailable | None = None
        self._jobs = jobs
        self._at = time.time()
        self.thread = threading.Thread(target=self._run, daemon=True, name=f"vitald-check-{name}")
        with self._catch():
            jobs[name] = CollectorJob(COLLECTORS[name](settings, context), settings)

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """Verdicts of the run; unknown for each of its checks if the host could not be read."""
        obstacle = self.obstacle
        if obstacle is not None:
            return tuple(unknown.unknown_verdicts(COLLECTORS[self.name], obstacle))
        only = COLLECTORS[self.name].history_only  # healthy would be a claim about what one look cannot show
        return [v for v in self.report.verdicts if v.level or v.check not in only] if self.report else ()

    @property
    def needs_history(self) -> Mapping[str, str]:
        """What this look could not judge, by check; empty if the host could not be read at all."""
        return COLLECTORS[self.name].needs_history if self.report and self.obstacle is None else {}

    @property
    def obstacle(self) -> unknown.Obstacle | None:
        """Why the host could not be read; None where it was, or does not have what the collector reads."""
        if self.error:
            return unknown.of_failure(self.error, self._at)
        return unknown.of_unavailable(self.unavailable, self._at) if self.unavailable is not None else None

    def wait(self, deadline: float) -> None:
        """Wait until the run has ended, or until `deadline` (monotonic)."""
        self.thread.join(max(0.0, deadline - time.monotonic()))
        if self.thread.is_alive():
            self.error = f"timed out after {DEADLINE_SECONDS:.0f} s"

    def _run(self) -> None:
        with self._catch():
            job = self._jobs[self.name]
            for again in range(job.collector.passes):
                if again:
                    time.sleep(1)  # a rate needs two readings
                self.report = job.run_once(self._jobs.get)
            self.panels = job.panels()

    @contextlib.contextmanager
    def _catch(self) -> Iterator[None]:
        try:
            yield
        except Unavailable as error:
            self.unavailable = error
        except Exception as error:  # noqa: BLE001 — a collector's failure is part of the result
            self.error = f"{type(error).__name__}: {error}"


def run_collectors(collectors: Mapping[str, Settings], context: CollectorContext) -> list[CollectorRun]:
    """Run all enabled collectors concurrently, for at most `DEADLINE_SECONDS`."""
    jobs: dict[str, CollectorJob] = {}
    runs = [CollectorRun(name, settings, context, jobs) for name, settings in collectors.items() if settings.enabled]
    started = [run for run in runs if run.name in jobs]
    for run in started:
        run.thread.start()
    deadline = time.monotonic() + DEADLINE_SECONDS
    for run in started:
        run.wait(deadline)
    return runs
