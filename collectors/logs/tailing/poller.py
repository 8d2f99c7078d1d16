"""Reads on in files that change: a thread that looks at paths twice a second, and a descriptor that becomes readable for results.

A busy log is nearly always lines that no signature knows: they are read in this thread, and nobody else is woken for them. Looking
costs less than being told: 2 µs of CPU a file and look, on any file system, whoever renames what. inotify would cost a wake-up for each
write of a busy log, and watches that go astray at each rotation.
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

_PAUSE = 0.5  # seconds


class Poller:
    """Calls `read` when a path has changed; once that has said True, `descriptor` is readable until `drain()`."""

    def __init__(self, read: Callable[[], bool], pause: float = _PAUSE) -> None:
        self._read = read
        self._pause = pause
        self._paths: Sequence[str] = ()
        self._seen: dict[str, Stamp | None] = {}
        self._end = threading.Event()
        self._flag = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread: threading.Thread | None = None

    @property
    def descriptor(self) -> int:
        """Give what to wait for."""
        return self._flag

    def watch(self, paths: Sequence[str]) -> None:
        """Look at these from now on."""
        self._paths = paths
        if paths and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="vitald-files", daemon=True)
            self._thread.start()

    def again(self) -> None:
        """Call `read` at the next look whether anything has changed or not: it left something."""
        self._seen = {}

    def drain(self) -> None:
        """Wait for the next change."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._flag)

    def _run(self) -> None:
        while not self._end.wait(self._pause):
            self.look()
        os.close(self._flag)

    def look(self) -> None:
        """Look once."""
        changed = False
        seen = {}
        for path in self._paths:
            seen[path] = now = stamp(path)
            changed |= now != self._seen.get(path)  # a new one, too: it may have grown since it was read
        self._seen = seen
        if changed and self._read():
            os.eventfd_write(self._flag, 1)

    def close(self) -> None:
        """End the thread, which takes the descriptor with it."""
        if self._end.is_set():
            return
        self._end.set()
        if self._thread is None:
            os.close(self._flag)
