"""The daemon's own view as one JSON document, for `vitald status`. Made on request only, from the board and the jobs."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from collectors.model import worst_level
from collectors.text import ISO, utc
from daemon.self_metrics import VERSION
from daemon.status import unknown
from daemon.status.content import host_facts, panels_of, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.model import Verdict
    from daemon.board import Board
    from daemon.job import CollectorJob
    from daemon.self_metrics import SelfMetrics


def document(board: Board, jobs: Sequence[CollectorJob], daemon: SelfMetrics) -> Mapping[str, Any]:
    """Return exit status, findings (worst first, healthy ones too), what the data lacks, collectors, the daemon; times in ISO 8601."""
    found = sorted(unknown.findings(board, jobs), key=lambda row: unknown.worst_first(row[0]))
    reloaded, reloaded_at = daemon.last_reload
    return {
        "exit": int(worst_level([verdict.level for verdict, _ in found])),
        "version": VERSION,
        "started": utc(daemon.started, ISO),
        "uptime_seconds": round(time.time() - daemon.started),
        "last_reload": {"successful": reloaded, "loaded": utc(reloaded_at, ISO)},
        "host": host_facts(board),
        "findings": [_finding(verdict, since) for verdict, since in found],
        "warnings": [warning for job in jobs for panel in panels_of(job) for warning in panel.warnings],
        "collectors": [_collector(job) for job in jobs],
    }


def _finding(verdict: Verdict, since: float) -> dict[str, Any]:
    return {**asdict(verdict), "level": verdict.level.name.lower(), "since": utc(since, ISO)}


def _collector(job: CollectorJob) -> dict[str, Any]:
    state, detail = state_of(job)
    return {
        "name": job.name,
        "state": state,
        "detail": detail,
        "last_read": None if job.last_success is None else utc(job.last_success, ISO),
        "duration_seconds": None if job.duration is None else round(job.duration, 4),
        "interval_seconds": float(job.settings.interval),
        "failures": job.failures,
    }
