"""What is not known: the verdicts of level unknown for the checks of a collector that cannot be read, and all findings with them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from collectors.model import Level, Unavailable, Verdict
from collectors.text import ISO, printable, utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collectors.collector import Collector
    from daemon.board import Board
    from daemon.job import CollectorJob

STUCK_SECONDS = 60.0  # age of a run, in addition to three intervals, from which it counts as stuck
MAX_SUMMARY = 400  # characters
_BY_PERMISSION = "the service (vitald.service) has the permissions that it needs: vitald status; for a single look: sudo vitald check"
_BY_FAILURE = "journalctl -u vitald -p err has the errors of the service; report one that persists as a fault of vitald"


class Obstacle(NamedTuple):
    """Why a collector cannot be read now, and since when as Unix time in seconds.

    `state` is `unreadable`, `failed`, `stuck` (in a run), `stale` (no run begins) or `pending` (no run has ended yet).
    """

    state: str
    detail: str
    remediation: str
    since: float


def state_of(obstacle: Obstacle | None, unavailable: Unavailable | None) -> tuple[str, str]:
    """Return the state of a collector and its reason: that of the obstacle, `absent` where it does not apply, or `ok`."""
    if obstacle is not None:
        return obstacle.state, obstacle.detail
    return ("ok", "") if unavailable is None else ("absent", _with_reason(unavailable))


def _with_reason(error: Unavailable) -> str:
    return f"{error} ({error.reason})"


def of_unavailable(error: Unavailable, since: float) -> Obstacle | None:
    """Return the obstacle; None where the host does not have what the collector reads."""
    if not error.is_applicable:
        return None
    remediation = error.remediation or (_BY_PERMISSION if error.reason == "permission" else "")
    return Obstacle("unreadable", _with_reason(error), remediation, since)


def of_failure(error: str, since: float) -> Obstacle:
    """Return the obstacle of a run that failed."""
    return Obstacle("failed", error, _BY_FAILURE, since)


def of_job(job: CollectorJob) -> Obstacle | None:
    """Return why the newest state of a collector of the daemon is not known; None where it is, or does not apply."""
    age = job.running_seconds()
    if age > max(STUCK_SECONDS, 3 * job.settings.interval):
        return Obstacle("stuck", f"run in progress for {age:.0f} s", "see the runbook of the alert CollectorStuck", time.time() - age)
    if job.failures and not job.success:
        return of_failure(f"the last run failed: {job.error}", job.unread_since)
    if job.unavailable is not None:
        return of_unavailable(job.unavailable, job.unread_since)
    idle = time.monotonic() - job.last_start
    if job.last_start and not age and idle > max(STUCK_SECONDS, 4 * job.settings.interval):
        return Obstacle("stale", f"no run for {idle:.0f} s, its interval is {job.settings.interval:g} s", _BY_FAILURE, time.time() - idle)
    if job.last_success is None:
        return Obstacle("pending", "the first run has not ended yet", "", job.unread_since)
    return None


def unknown_verdicts(collector: type[Collector[Any]], obstacle: Obstacle) -> Iterator[Verdict]:
    """Yield a verdict for each check of a collector that cannot be read; its subject is the collector."""
    for check in collector.checks:
        message = f"could not tell: {obstacle.detail}"
        yield Verdict(check, collector.name, Level.UNKNOWN, message, {"collector": collector.name}, obstacle.remediation)


def findings(board: Board, jobs: Iterable[CollectorJob]) -> Iterator[tuple[Verdict, float]]:
    """Yield every subject's verdict and the Unix time since when it has this level.

    Of a collector that cannot be read now: the faults that it found last, and unknown for each of its checks in place of healthy ones.
    """
    obstacles = {job.name: (job, obstacle) for job in jobs if (obstacle := of_job(job)) is not None}
    for report in board.reports():
        for verdict in report.verdicts:
            if verdict.level is not Level.HEALTHY or report.collector not in obstacles:
                yield verdict, board.since(verdict)
    for job, obstacle in obstacles.values():
        for verdict in unknown_verdicts(type(job.collector), obstacle):
            yield verdict, obstacle.since


def worst_first(verdict: Verdict) -> tuple[int, str, str]:
    """Return the key that sorts verdicts: critical, warning, unknown, healthy; then by check and subject."""
    return -verdict.level.severity, verdict.check, verdict.subject


def count_levels(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Return how many verdicts there are of each level by its name, the worst first; levels without one are left out."""
    levels = [verdict.level for verdict in verdicts]
    by_severity = sorted(Level, key=lambda level: -level.severity)
    return {level.name.lower(): levels.count(level) for level in by_severity if level in levels}


def counts(verdicts: Iterable[Verdict]) -> str:
    """Return how many verdicts there are of each level, as text."""
    return ", ".join(f"{count} {level}" for level, count in count_levels(verdicts).items())


def summary(found: Iterable[tuple[Verdict, float]]) -> str:
    """Return the host's state as one line, for `systemctl status`: counts by level, then the worst finding."""
    rows = list(found)
    if not rows:
        return "no readings yet"
    verdict, since = min(rows, key=lambda row: worst_first(row[0]))
    line = counts([verdict for verdict, _ in rows])
    if verdict.level is not Level.HEALTHY:
        line += f": {verdict.check} {verdict.subject} since {utc(since, ISO)}: {verdict.message}"
    line = printable(line)
    return line if len(line) <= MAX_SUMMARY else f"{line[: MAX_SUMMARY - 1]}…"
