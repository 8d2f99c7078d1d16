"""Detects growth of files: a thread that compares their status twice a second, and a descriptor that becomes readable for events.

Most lines of a busy log match no signature: they are read in this thread, and the collector's thread is not woken. Polling takes 2 µs
of CPU per file and poll, on any file system and for any kind of rotation; inotify would wake the thread for each write of a busy log,
and its watches would have to be renewed at each rotation.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from collectors.files import stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collectors.files import Stamp

_INTERVAL = 0.5  # seconds


class FilePoller:
    """Calls `on_change` when a path has changed. Once that has returned True, `descriptor` is readable until `drain()`."""

    def __init__(self, on_change: Callable[[], bool], interval: float = _INTERVAL) -> None:
        self._on_change = on_change
        self._interval = interval
        self._paths: Sequence[str] = ()
        self._stamps: dict[str, Stamp | None] = {}
        self._stopping = threading.Event()
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread: threading.Thread | None = None

    def set_paths(self, paths: Sequence[str]) -> None:
        """Poll these paths from now on."""
        self._paths = paths
        if paths and self._thread is None and not self._stopping.is_set():
            self._thread = threading.Thread(target=self._run, name="vitald-files", daemon=True)
            self._thread.start()

    def force_next(self) -> None:
        """Call `on_change` at the next poll in any case: it left something unread."""
        self._stamps = {}

    def drain(self) -> None:
        """Reset `descriptor` until the next event."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.descriptor)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            self.poll()
        os.close(self.descriptor)

    def poll(self) -> None:
        """Compare each path's status with the one before."""
        changed = False
        stamps = {}
        for path in self._paths:
            stamps[path] = now = stamp(path)
            changed |= now != self._stamps.get(path)  # a new path, too: it may have grown since it was read
        self._stamps = stamps
        if changed and self._on_change():
            os.eventfd_write(self.descriptor, 1)

    def close(self) -> None:
        """End the thread, which then closes the descriptor."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._thread is None:
            os.close(self.descriptor)
