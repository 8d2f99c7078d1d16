"""Access to disks: threads that may hang for ever, and tasks for which no thread waits longer than a timeout.

open(2), stat(2), read(2) and fsync(2) on a frozen volume or a dead NFS server return when it answers again, perhaps never, and no signal
ends them. So a thread that others wait for (a collector's run, the scheduler, the HTTP server, main) touches no disk: it hands the
access to a `DiskTask`, and goes on without its result when it takes too long. procfs, sysfs and devtmpfs are memory, no disk.

One thread serves all tasks. Only while it is stuck in one of them, another is started for the others. A task is never in two threads at
once, so what hangs costs one thread each, however often it is asked for.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

STUCK_SECONDS = 0.2  # after which a thread counts as stuck, and another one serves the tasks that wait

T = TypeVar("T")


class DiskHangs(OSError):  # noqa: N818 — a state of the host
    """An access has not returned in time. `seconds` is its age; `filename` what is accessed."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__(0, f"access has not returned for {seconds:.0f} s, the disk hangs", path)
        self.seconds = seconds

    def __str__(self) -> str:
        return str(self.strerror)


class DiskThreads:
    """The threads: one while nothing hangs, none before the first task."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[DiskTask[Any]] = deque()
        self._running: set[DiskTask[Any]] = set()
        self._idle = 0
        self._current = threading.local()

    def submit(self, task: DiskTask[Any]) -> None:
        """Queue a task."""
        with self._changed:
            self._waiting.append(task)
            self._changed.notify()
        self.ensure_thread()

    def ensure_thread(self) -> None:
        """Start a thread if a task waits and all threads are stuck. Called by those who wait, and by the daemon's heartbeat."""
        own = getattr(self._current, "task", None)  # of a disk thread that waits for another task
        with self._changed:
            since = time.monotonic() - STUCK_SECONDS
            if len(self._waiting) <= self._idle or any(task.began > since and task is not own for task in self._running):
                return
            self._idle += 1  # the new one, so that a second call starts no other
        try:
            threading.Thread(target=self._serve, name="vitald-disk", daemon=True).start()
        except RuntimeError as error:  # no process left; tasks wait for a thread that is stuck now
            with self._changed:
                self._idle -= 1
            log.warning("disk thread not started error=%s", error)

    def withdraw(self, task: DiskTask[Any]) -> bool:
        """Remove a task that no thread has begun; return whether it was one."""
        with self._changed:
            if task not in self._waiting:
                return False
            self._waiting.remove(task)
            return True

    def accesses(self, min_seconds: float) -> list[tuple[str, float]]:
        """Return path and age in seconds of each access that has not returned for so long, the oldest first."""
        now = time.monotonic()
        with self._changed:
            found = [(task.path, now - task.began) for task in self._running]
            found += [(task.path, now - task.submitted) for task in self._waiting]
        return sorted((row for row in found if row[1] >= min_seconds), key=lambda row: -row[1])

    def note(self, path: str) -> None:
        """Set what the access of the calling thread is about; no effect in a thread that is none of these."""
        task: DiskTask[Any] | None = getattr(self._current, "task", None)
        if task is not None:
            task.path = path

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text("vitald-disk")
        while True:
            with self._changed:
                while not self._waiting:
                    if self._idle > 1:  # started while another one was stuck, which has come back
                        self._idle -= 1
                        return
                    self._changed.wait()
                self._idle -= 1
                task = self._waiting.popleft()
                task.began = time.monotonic()
                self._running.add(task)
            self._current.task = task
            task.execute()
            self._current.task = None
            with self._changed:
                self._running.discard(task)
                self._idle += 1
            del task  # and with it the result


_THREADS = DiskThreads()


def note(path: str) -> None:
    """Set the path that the access of this thread is about, for the finding on what hangs."""
    _THREADS.note(path)


def accesses(min_seconds: float) -> list[tuple[str, float]]:
    """Return path and age in seconds of each access that has not returned for so long, the oldest first."""
    return _THREADS.accesses(min_seconds)


def ensure_thread() -> None:
    """Start a thread if tasks wait and all threads are stuck."""
    _THREADS.ensure_thread()


class DiskTask(Generic[T]):
    """Accesses to one resource, one at a time. The result of one that ended late belongs to the next call, so nothing read is lost.

    `path` names the resource until the function itself names a file (`note`). `on_end` is called in the disk thread after each access.
    """

    def __init__(self, path: str, on_end: Callable[[], None] | None = None, threads: DiskThreads = _THREADS) -> None:
        self._resource = self.path = path
        self._on_end = on_end
        self._threads = threads
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._function: Callable[[], T] | None = None
        self._result: T | None = None
        self._error: BaseException | None = None
        self.submitted = self.began = 0.0  # monotonic

    @property
    def is_busy(self) -> bool:
        """True from `start()` until the result is taken."""
        return self._function is not None

    def start(self, function: Callable[[], T]) -> bool:
        """Begin an access; False, without effect, while the result of the one before is not taken."""
        with self._lock:
            if self._function is not None:
                return False
            self._function = function
            self._ended.clear()
            self.path, self.submitted = self._resource, time.monotonic()
        self._threads.submit(self)
        return True

    def ended(self, seconds: float = 0.0) -> bool:
        """Wait until `seconds` after the access was started, if it takes so long; return whether its result can be taken."""
        deadline = self.submitted + seconds
        while not self._ended.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if not self._ended.wait(min(left, STUCK_SECONDS)):
                self._threads.ensure_thread()
        return True

    def wait(self, seconds: float) -> T:
        """Return the result, or raise what the function raised. Raises `DiskHangs` `seconds` after the access was started."""
        if not self.ended(seconds):
            raise DiskHangs(self.path, time.monotonic() - self.submitted)
        with self._lock:
            result, error = self._result, self._error
            self._function = self._result = self._error = None
        if error is not None:
            raise error
        return cast("T", result)

    def run(self, function: Callable[[], T], seconds: float) -> T:
        """Start an access and wait for it. While an earlier one hangs, raise `DiskHangs` at once; if it has ended, return its result."""
        self.start(function)
        return self.wait(seconds)

    def cancel(self) -> bool:
        """Cancel an access that no thread has begun; return whether it was one."""
        if not self._threads.withdraw(self):
            return False
        self._function = None
        self._ended.set()
        return True

    def execute(self) -> None:
        """Run the function. Called by a disk thread."""
        function = self._function
        assert function is not None  # noqa: S101 — for mypy
        try:
            self._result = function()
        except BaseException as error:  # noqa: BLE001 — raised where the result is taken
            self._error = error
        del function
        self._ended.set()
        if self._on_end is not None:
            self._on_end()
