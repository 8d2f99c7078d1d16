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
from daemon.clock import Every, MonotonicZone
from daemon.wake import Waker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.board import Board
    from daemon.track import Track

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
MAX_THREADS = 64  # threads appear only as runs overlap; the bound is for collectors that hang and are replaced again and again
HEARTBEAT = "heartbeat"
WAKE_GAP_SECONDS = 0.25  # a busy descriptor costs four runs a second at most, and the second in which an event must be seen is kept
_RETURN_SECONDS = 0.02  # what a run needs to hand its thread back: a run planned before that would be skipped


class Runner:
    """Runs tracks on APScheduler until `stop()`."""

    def __init__(self, board: Board, heartbeat: Callable[[], None], heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        """`heartbeat` is called from the scheduler's own thread, so that it stops when the scheduler is stuck."""
        self._board = board
        self._tracks: dict[str, Track] = {}
        self._waker = Waker(self._hasten)
        workers = {"thread_name_prefix": "vitald-run", "initializer": _name_thread, "initargs": ("vitald-run",)}
        self._scheduler = BackgroundScheduler(
            timezone=MonotonicZone(),
            executors={"default": ThreadPoolExecutor(MAX_THREADS, workers), "inline": DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._skipped, EVENT_JOB_MAX_INSTANCES)
        self._scheduler.add_job(_name_thread, args=("vitald-sched",), executor="inline", misfire_grace_time=None)
        self._scheduler.add_job(heartbeat, Every(heartbeat_seconds), id=HEARTBEAT, executor="inline")

    def start(self, tracks: Mapping[str, Track], patience: float = 5.0) -> None:
        """Start every collector, and wait until the first run of each has begun: `patience` seconds at most."""
        for track in tracks.values():
            self._add(track)
        self._scheduler.start()
        deadline = time.monotonic() + patience
        for track in tracks.values():
            if not track.begun.wait(max(0.0, deadline - time.monotonic())):
                log.warning("collector %s has not begun within %.0f s of the start", track.name, patience)

    def replace(self, tracks: Mapping[str, Track]) -> None:
        """Go on with these tracks: the same objects keep their history, others are started or ended."""
        for name, old in list(self._tracks.items()):
            if tracks.get(name) is not old:
                self._drop(old)
        for name, new in tracks.items():
            if name not in self._tracks:
                self._add(new)

    def tracks(self) -> tuple[Track, ...]:
        """Give every configured collector's track, also of one whose first run hangs."""
        return tuple(self._tracks.values())

    def stop(self) -> None:
        """Start no more runs, and tell collectors to let go; runs that are out are not waited for."""
        if self._scheduler.running:
            self._scheduler.remove_all_jobs()
        self._waker.stop()
        for track in self.tracks():
            self._close(track)

    def _add(self, track: Track) -> None:
        self._tracks = {**self._tracks, track.name: track}
        self._scheduler.add_job(self.tick, Every(track.settings.every), args=(track,), id=track.name)

    def _drop(self, track: Track) -> None:
        self._tracks = {name: other for name, other in self._tracks.items() if other is not track}
        track.retired = True
        try:
            self._scheduler.remove_job(track.name)
        except JobLookupError:
            log.debug("job %s was gone already", track.name)
        self._close(track)
        self._board.withdraw(track.name)

    def _close(self, track: Track) -> None:
        try:
            track.collector.close()
        except Exception:
            log.exception("collector %s would not close", track.name)

    def _skipped(self, event: JobSubmissionEvent) -> None:
        track = self._tracks.get(event.job_id)
        if track is not None:
            track.skipped += 1

    def tick(self, track: Track) -> None:
        """Run one collector once; whatever it does, the others do not notice."""
        if track.started is not None:  # its instance count went astray, as it does when no thread could be made
            track.skipped += 1
            return
        began = track.began = track.started = time.monotonic()
        track.begun.set()
        try:
            report = track.look()
        except Unavailable as why:
            self._unavailable(track, why)
        except Exception as error:
            track.success, track.failures = False, track.failures + 1
            log.error("collector %s failed: %s: %s", track.name, type(error).__name__, error, exc_info=log.isEnabledFor(logging.DEBUG))  # noqa: TRY400
        else:
            track.success, track.unavailable, track.last_success = True, None, report.at
            if not track.retired:
                self._board.publish(report)
        finally:
            track.duration = time.monotonic() - began
            track.started = None
        self._arm(track)

    def _arm(self, track: Track) -> None:
        if track.retired or not track.success or track.unavailable is not None:
            return
        try:
            self._waker.arm(track.name, track.collector.wakes())
        except OSError as error:  # closed under us: the next tick asks again
            log.debug("collector %s cannot be woken: %s", track.name, error)

    def _hasten(self, name: str) -> None:
        """Bring a collector's next run forward; called from the waker's thread."""
        track = self._tracks.get(name)
        if track is None:
            return
        wait = max(_RETURN_SECONDS, track.began + WAKE_GAP_SECONDS - time.monotonic())
        with contextlib.suppress(JobLookupError):  # dropped in this moment
            job = self._scheduler.get_job(name)
            when = dt.datetime.now(self._scheduler.timezone) + dt.timedelta(seconds=wait)
            if job is not None and when < job.next_run_time:
                job.modify(next_run_time=when)

    def _unavailable(self, track: Track, why: Unavailable) -> None:
        if track.unavailable is None or track.unavailable.reason != why.reason:
            log.warning("collector %s is not available (%s): %s", track.name, why.reason, why)
        track.success, track.unavailable, track.last_success = True, why, time.time()
        if not track.retired:
            self._board.withdraw(track.name)


def _name_thread(name: str) -> None:
    """Let `top -H` and `ps -L` tell our threads apart; Python does it by itself from 3.14 on."""
    with contextlib.suppress(OSError):  # a sandbox may hide /proc
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name)
