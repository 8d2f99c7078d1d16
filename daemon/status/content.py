"""Contents of the status page: findings from the board, collector states and panels from the jobs. Made on request only."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from daemon.self_metrics import VERSION
from daemon.status import unknown
from exporters.prometheus.status_page.page import CollectorStatus, Finding, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.panel import Panel
    from daemon.board import Board
    from daemon.job import CollectorJob

log = logging.getLogger(__name__)


def status(board: Board, jobs: Sequence[CollectorJob]) -> Status:
    """Return the current status."""
    found = [Finding(verdict, since) for verdict, since in unknown.findings(board, jobs)]
    return Status(host_facts(board), VERSION, found, [_collector_status(job) for job in jobs])


def host_facts(board: Board) -> dict[str, str]:
    """Return the identity of the host by name, empty before it was read."""
    for metric in next((report.metrics for report in board.reports() if report.collector == "host"), ()):
        if metric.family.name == "host":
            return dict(zip(metric.family.labels, metric.labels, strict=True))
    return {}


def state_of(job: CollectorJob) -> tuple[str, str]:
    """Return the state of a collector's runs, as in `CollectorStatus`, and its reason."""
    state, detail = unknown.state_of(unknown.of_job(job), job.unavailable)
    return (state, detail) if state != "ok" or job.is_measured else ("failed", f"the metrics of the last run failed: {job.error}")


def _collector_status(job: CollectorJob) -> CollectorStatus:
    state, detail = state_of(job)
    age = None if job.last_success is None else max(0.0, time.time() - job.last_success)
    return CollectorStatus(job.name, state, detail, age, job.duration, panels_of(job))


def panels_of(job: CollectorJob) -> list[Panel]:
    """Return the panels of a collector, none while it is unavailable or if they fail."""
    if job.unavailable is not None:
        return []
    try:
        return job.panels()
    except Exception:
        log.exception("panels failed collector=%s", job.name)
        return []
