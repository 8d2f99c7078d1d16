"""When collectors run, and what becomes of a run: the owner of time, threads and history.

Each collector is one job: never twice at once, never made up for, in step with the others. Each may hang for ever in a thread of its
own without delaying another. A failure of a collector is caught here, in `tick()`, and nowhere else.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
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
MAX_THREADS = 64  # threads appear only as runs overlap; the bound is for collectors that hang and are replaced again and again
HEARTBEAT = "heartbeat"
WAKE_GAP_SECONDS = 0.25  # a busy descriptor costs four runs a second at most, and the second in which an event must be seen is kept
_RETURN_SECONDS = 0.02  # what a run needs to hand its thread back: a run planned before that would be skipped


class Runner:
    """Runs jobs on APScheduler until `stop()`."""

    def __init__(self, board: Board, heartbeat: Callable[[], None], heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        """`heartbeat` is called from the scheduler's own thread, so that it stops when the scheduler is stuck."""
        self._board = board
        self._jobs: dict[str, CollectorJob] = {}
        self._waker = Waker(self._hasten)
        workers = {"thread_name_prefix": "vitald-run", "initializer": _name_thread, "initargs": ("vitald-run",)}
        self._scheduler = BackgroundScheduler(
            timezone=MonotonicZone(),
            executors={"default": ThreadPoolExecutor(MAX_THREADS, workers), "inline": DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._skipped, EVENT_JOB_MAX_INSTANCES)
        self._scheduler.add_job(_name_thread, args=("vitald-sched",), executor="inline", misfire_grace_time=None)
        self._scheduler.add_job(heartbeat, IntervalTrigger(heartbeat_seconds), id=HEARTBEAT, executor="inline")

    def start(self, jobs: Mapping[str, CollectorJob], patience: float = 5.0) -> None:
        """Start every collector, and wait until the first run of each has begun: `patience` seconds at most."""
        for job in jobs.values():
            self._add(job)
        self._scheduler.start()
        deadline = time.monotonic() + patience
        for job in jobs.values():
            if not job.begun.wait(max(0.0, deadline - time.monotonic())):
                log.warning("collector %s has not begun within %.0f s of the start", job.name, patience)

    def replace(self, jobs: Mapping[str, CollectorJob]) -> None:
        """Go on with these jobs: the same objects keep their history, others are started or ended."""
        for name, old in list(self._jobs.items()):
            if jobs.get(name) is not old:
                self._drop(old)
        for name, new in jobs.items():
            if name not in self._jobs:
                self._add(new)

    def jobs(self) -> tuple[CollectorJob, ...]:
        """Give every configured collector's job, also of one whose first run hangs."""
        return tuple(self._jobs.values())

    def stop(self) -> None:
        """Start no more runs, and tell collectors to let go; runs that are out are not waited for."""
        if self._scheduler.running:
            self._scheduler.remove_all_jobs()
        self._waker.stop()
        for job in self.jobs():
            self._close(job)

    def _add(self, job: CollectorJob) -> None:
        self._jobs = {**self._jobs, job.name: job}
        self._scheduler.add_job(self.tick, IntervalTrigger(job.settings.interval), args=(job,), id=job.name)

    def _drop(self, job: CollectorJob) -> None:
        self._jobs = {name: other for name, other in self._jobs.items() if other is not job}
        job.retired = True
        try:
            self._scheduler.remove_job(job.name)
        except JobLookupError:
            log.debug("job %s was gone already", job.name)
        self._close(job)
        self._board.withdraw(job.name)

    def _close(self, job: CollectorJob) -> None:
        try:
            job.collector.close()
        except Exception:
            log.exception("collector %s would not close", job.name)

    def _skipped(self, event: JobSubmissionEvent) -> None:
        job = self._jobs.get(event.job_id)
        if job is not None:
            job.skipped += 1

    def tick(self, job: CollectorJob) -> None:
        """Run one collector once; whatever it does, the others do not notice."""
        if job.started is not None:  # its instance count went astray, as it does when no thread could be made
            job.skipped += 1
            return
        began = job.began = job.started = time.monotonic()
        job.begun.set()
        try:
            report = job.run_once(self._jobs.get)
        except Unavailable as why:
            self._unavailable(job, why)
        except Exception as error:  # noqa: BLE001 — the one place where a failed run is caught
            job.fail(error)
        else:
            job.success, job.unavailable, job.last_success = True, None, time.time()
            if not job.retired:
                self._notify(job.name, self._board.publish(report))
        finally:
            job.duration = time.monotonic() - began
            job.started = None
        self._arm(job)

    def _arm(self, job: CollectorJob) -> None:
        if job.retired or not job.success or job.unavailable is not None:
            return
        try:
            self._waker.arm(job.name, job.collector.wake_fds())
        except OSError as error:  # closed under us: the next tick asks again
            log.debug("collector %s cannot be woken: %s", job.name, error)

    def _notify(self, name: str, newly_unhealthy: Sequence[str]) -> None:
        """Hand subjects that turned bad to the collectors that read this one's readings, and run those at once."""
        for job in self.jobs() if newly_unhealthy else ():
            if name in job.collector.inputs:
                job.mark_unhealthy(newly_unhealthy)
                self._hasten(job.name)

    def _hasten(self, name: str) -> None:
        """Bring a collector's next run forward; called from the waker's thread."""
        job = self._jobs.get(name)
        if job is None:
            return
        wait = max(_RETURN_SECONDS, job.began + WAKE_GAP_SECONDS - time.monotonic())
        with contextlib.suppress(JobLookupError):  # dropped in this moment
            scheduled = self._scheduler.get_job(name)
            when = dt.datetime.now(self._scheduler.timezone) + dt.timedelta(seconds=wait)
            if scheduled is not None and when < scheduled.next_run_time:
                scheduled.modify(next_run_time=when)

    def _unavailable(self, job: CollectorJob, why: Unavailable) -> None:
        if job.unavailable is None or job.unavailable.reason != why.reason:
            log.warning("collector %s is not available (%s): %s", job.name, why.reason, why)
        job.success, job.unavailable, job.last_success = True, why, time.time()
        if not job.retired:
            self._board.withdraw(job.name)


def _name_thread(name: str) -> None:
    """Let `top -H` and `ps -L` tell our threads apart; Python does it by itself from 3.14 on."""
    with contextlib.suppress(OSError):  # a sandbox may hide /proc
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name)
