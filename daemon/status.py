"""Contents of the status page: findings from the board, collector states and panels from the jobs. Made on request only."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from daemon.self_metrics import VERSION
from exporters.prometheus.status_page.page import CollectorStatus, Finding, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.panel import Panel
    from daemon.board import Board
    from daemon.job import CollectorJob

log = logging.getLogger(__name__)

STUCK_SECONDS = 60.0  # age of a run, in addition to three intervals, from which it counts as stuck


def status(board: Board, jobs: Iterable[CollectorJob]) -> Status:
    """Return the current status."""
    reports = board.reports()
    findings = [Finding(verdict, board.since(verdict)) for report in reports for verdict in report.verdicts]
    host = {}
    for metric in next((report.metrics for report in reports if report.collector == "host"), ()):
        if metric.family.name == "host":
            host = dict(zip(metric.family.labels, metric.labels, strict=True))
    return Status(host, VERSION, findings, [_collector_status(job) for job in jobs])


def _collector_status(job: CollectorJob) -> CollectorStatus:
    state, detail = "ok", ""
    if job.unavailable is not None:
        state, detail = "absent", f"{job.unavailable} ({job.unavailable.reason})"
    elif job.running_seconds() > max(STUCK_SECONDS, 3 * job.settings.interval):
        state, detail = "stuck", f"run in progress for {job.running_seconds():.0f} s"
    elif job.failures and not (job.success and job.is_measured):
        state, detail = "failed", "last run failed; the error is in vitald's log"
    age = None if job.last_success is None else max(0.0, time.time() - job.last_success)
    return CollectorStatus(job.name, state, detail, age, job.duration, _panels(job))


def _panels(job: CollectorJob) -> list[Panel]:
    if job.unavailable is not None:
        return []
    try:
        return job.panels()
    except Exception:
        log.exception("panels failed collector=%s", job.name)
        return []
