"""Wake-ups by descriptor: a collector runs as soon as one of its descriptors is readable.

One thread waits in epoll for all collectors. Descriptors are armed (EPOLLONESHOT) after each successful run, so that a collector that
fails and drains nothing runs at its `interval` only.
"""

from __future__ import annotations

import os
import select
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ARMED = select.EPOLLIN | select.EPOLLPRI | select.EPOLLONESHOT


class Waker:
    """Call `on_readable(name)` when a descriptor armed under that name becomes readable."""

    def __init__(self, on_readable: Callable[[str], None]) -> None:
        self._on_readable = on_readable
        self._epoll = select.epoll()
        self._names: dict[int, str] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._end = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def arm(self, name: str, descriptors: Iterable[int]) -> None:
        """Wait for each descriptor once; the first call starts the thread. The kernel removes closed descriptors from epoll."""
        with self._lock:
            for descriptor in descriptors:
                self._names[descriptor] = name
                try:
                    self._epoll.register(descriptor, _ARMED)
                except FileExistsError:
                    self._epoll.modify(descriptor, _ARMED)
            if self._names and self._thread is None:
                self._epoll.register(self._end, select.EPOLLIN)
                self._thread = threading.Thread(target=self._wait, name="vitald-wake", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        os.eventfd_write(self._end, 1)

    def _wait(self) -> None:
        while True:
            for descriptor, _ in self._epoll.poll():
                if descriptor == self._end:
                    return
                with self._lock:
                    name = self._names.pop(descriptor, None)
                if name is not None:
                    self._on_readable(name)
