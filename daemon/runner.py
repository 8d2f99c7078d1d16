"""Runner: schedules collectors, each run in a thread of a pool, and publishes their reports.

Runs of one collector never overlap and missed ones are not made up for; the runs of all collectors start together. A collector that
hangs delays no other. A collector runs at once when a descriptor of its own is readable (`waker`), and when a subject of one of its
`inputs` turns unhealthy (`_notify`). Failures of a run are caught in `run()`, and nowhere else.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.executors.base import MaxInstancesReachedError
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from collectors.model import Unavailable
from daemon.monotonic import IntervalTrigger, MonotonicZone
from daemon.waker import Waker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daemon.board import Board
    from daemon.job import CollectorJob

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
MAX_THREADS = 64  # upper bound, reached only by hanging collectors that reloads replace repeatedly
HEARTBEAT = "heartbeat"
WAKE_GAP_SECONDS = 0.25  # limits a busy descriptor to four runs a second
_RETURN_SECONDS = 0.02  # until APScheduler counts a run as ended; a run scheduled earlier would be skipped


class Runner:
    """Run jobs on APScheduler until `stop()`."""

    def __init__(self, board: Board, heartbeat: Callable[[], None], heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        """`heartbeat` is called from the scheduler's thread, so that it stops when the scheduler is stuck."""
        self._board = board
        self._jobs: dict[str, CollectorJob] = {}
        self._waker = Waker(self._run_soon)
        workers = {"thread_name_prefix": "vitald-run", "initializer": _name_thread, "initargs": ("vitald-run",)}
        self._scheduler = BackgroundScheduler(
            timezone=MonotonicZone(),
            executors={"default": _Executor(MAX_THREADS, workers), "inline": DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._skipped, EVENT_JOB_MAX_INSTANCES)
        self._scheduler.add_job(_name_thread, args=("vitald-sched",), executor="inline", misfire_grace_time=None)
        self._scheduler.add_job(heartbeat, IntervalTrigger(heartbeat_seconds), id=HEARTBEAT, executor="inline")

    def start(self, jobs: Mapping[str, CollectorJob], timeout: float = 5.0) -> None:
        """Start every collector and wait, at most `timeout` seconds, until each has begun its first run."""
        for job in jobs.values():
            self._add(job)
        self._scheduler.start()
        deadline = time.monotonic() + timeout
        for job in jobs.values():
            if not job.has_started.wait(max(0.0, deadline - time.monotonic())):
                log.warning("first run not started collector=%s seconds=%.0f", job.name, timeout)

    def replace(self, jobs: Mapping[str, CollectorJob]) -> None:
        """Replace the jobs. Objects that are in both sets run on with their history; the others are started or stopped."""
        for name, old in list(self._jobs.items()):
            if jobs.get(name) is not old:
                self._drop(old)
        for name, new in jobs.items():
            if name not in self._jobs:
                self._add(new)

    def jobs(self) -> tuple[CollectorJob, ...]:
        """Return the jobs of all configured collectors, also of those without a finished run."""
        return tuple(self._jobs.values())

    def stop(self) -> None:
        """Start no more runs and close the collectors, without waiting for runs in progress."""
        if self._scheduler.running:
            self._scheduler.remove_all_jobs()
        self._waker.stop()
        for job in self.jobs():
            self._close(job)

    def _add(self, job: CollectorJob) -> None:
        self._jobs = {**self._jobs, job.name: job}
        self._scheduler.add_job(self.run, IntervalTrigger(job.settings.interval), args=(job,), id=_schedule_id(job))

    def _drop(self, job: CollectorJob) -> None:
        self._jobs = {name: other for name, other in self._jobs.items() if other is not job}
        job.retired = True
        try:
            self._scheduler.remove_job(_schedule_id(job))
        except JobLookupError:
            log.debug("job not scheduled collector=%s", job.name)
        self._close(job)
        self._board.withdraw(job.name)

    def _close(self, job: CollectorJob) -> None:
        try:
            job.collector.close()
        except Exception:
            log.exception("collector close failed collector=%s", job.name)

    def _skipped(self, event: JobSubmissionEvent) -> None:
        for job in self.jobs():
            if _schedule_id(job) == event.job_id:
                job.skipped += 1

    def run(self, job: CollectorJob) -> None:
        """Run a collector once and publish its report; catch and count every error."""
        if job.running_since is not None:  # APScheduler's instance count is wrong after it failed to start a thread
            job.skipped += 1
            return
        began = job.last_start = job.running_since = time.monotonic()
        job.has_started.set()
        try:
            report = job.run_once(self._jobs.get)
        except Unavailable as error:
            self._set_unavailable(job, error)
        except Exception as error:  # noqa: BLE001 — the only place that catches a failed run
            job.fail(error)
        else:
            job.success, job.unavailable, job.last_success = True, None, time.time()
            job.unread_since = job.last_success
            if not job.retired:
                self._notify(job.name, self._board.publish(report))
        finally:
            job.duration = time.monotonic() - began
            job.running_since = None
        self._arm(job)

    def _arm(self, job: CollectorJob) -> None:
        if job.retired or not job.success or job.unavailable is not None:
            return
        try:
            self._waker.arm(job.name, job.collector.wake_fds())
        except OSError as error:  # closed meanwhile; the next run arms again
            log.debug("wake descriptors not armed collector=%s error=%s", job.name, error)

    def _notify(self, name: str, newly_unhealthy: Sequence[str]) -> None:
        """Pass newly unhealthy subjects to the collectors that have this one as input, and run those at once."""
        for job in self.jobs() if newly_unhealthy else ():
            if name in job.collector.inputs:
                job.mark_unhealthy(newly_unhealthy)
                self._run_soon(job.name)

    def _run_soon(self, name: str) -> None:
        """Reschedule a collector's next run to now, or to `WAKE_GAP_SECONDS` after the last one. Called from any thread."""
        job = self._jobs.get(name)
        if job is None:
            return
        wait = max(_RETURN_SECONDS, job.last_start + WAKE_GAP_SECONDS - time.monotonic())
        with contextlib.suppress(JobLookupError):  # removed meanwhile
            scheduled = self._scheduler.get_job(_schedule_id(job))
            when = dt.datetime.now(self._scheduler.timezone) + dt.timedelta(seconds=wait)
            if scheduled is not None and when < scheduled.next_run_time:
                scheduled.modify(next_run_time=when)

    def _set_unavailable(self, job: CollectorJob, error: Unavailable) -> None:
        if job.unavailable is None or job.unavailable.reason != error.reason:
            log.warning("collector unavailable collector=%s reason=%s: %s", job.name, error.reason, error)
        job.success, job.unavailable, job.last_success = True, error, time.time()
        if not job.retired:
            self._board.withdraw(job.name)


class _Executor(ThreadPoolExecutor):  # type: ignore[misc]  # apscheduler 3 is untyped
    """Thread pool that survives a thread that cannot be started: the run is queued for the threads that there are."""

    def _do_submit_job(self, job: Any, run_times: Any) -> None:  # noqa: ANN401
        try:
            super()._do_submit_job(job, run_times)
        except (RuntimeError, MemoryError) as error:
            log.error("run delayed, no thread for it collector=%s error=%s", str(job.id).partition(" ")[0], error)  # noqa: TRY400
            raise MaxInstancesReachedError(job) from None  # counted as skipped, and not as one in progress


def _schedule_id(job: CollectorJob) -> str:
    """Return the job's id in APScheduler, which runs one instance of an id: a retired job that hangs must not stop its successor."""
    return f"{job.name} {id(job)}"


def _name_thread(name: str) -> None:
    """Set the thread's comm for `top -H` and `ps -L`, as Python does from 3.14 on."""
    with contextlib.suppress(OSError):  # a sandbox may hide /proc
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name)
