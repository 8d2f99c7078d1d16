"""What the status page shows: findings from the Board, courses and panels from the tracks. Made when somebody looks, and only then."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from daemon.selfreport import VERSION
from exporters.prometheus.status import Course, Finding, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.panel import Panel
    from daemon.board import Board
    from daemon.track import Track

log = logging.getLogger(__name__)

STUCK_SECONDS = 60.0  # a run that has been out for longer, and for three of its intervals, does not come back


def status(board: Board, tracks: Iterable[Track]) -> Status:
    """Put together what is known now."""
    reports = board.reports()
    findings = [Finding(verdict, board.since(verdict)) for report in reports for verdict in report.verdicts]
    host = {}
    for report in reports:
        for metric in report.metrics:
            if metric.family.name == "host":
                host = dict(zip(metric.family.labels, metric.labels, strict=True))
    return Status(host, VERSION, findings, [_course(track) for track in tracks])


def _course(track: Track) -> Course:
    state, detail = "ok", ""
    if track.unavailable is not None:
        state, detail = "absent", f"{track.unavailable} ({track.unavailable.reason})"
    elif track.running_seconds() > max(STUCK_SECONDS, 3 * track.settings.every):
        state, detail = "stuck", f"its run has been out for {track.running_seconds():.0f} s"
    elif track.failures and not track.success:
        state, detail = "failed", "its last run failed; vitald's log says why"
    age = None if track.last_success is None else max(0.0, time.time() - track.last_success)
    return Course(track.name, state, detail, age, track.duration, _panels(track))


def _panels(track: Track) -> list[Panel]:
    if track.unavailable is not None:
        return []
    try:
        return track.panels()
    except Exception:
        log.exception("collector %s could not show its readings", track.name)
        return []
