"""Listening sockets: accept(2), its errors, and a pause while there are no descriptors left."""

from __future__ import annotations

import errno
import select
import time
from typing import TYPE_CHECKING

from exporters.prometheus.http.listen import limit_kernel_memory

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from exporters.prometheus.http.stats import HttpStats

LOCAL = "local"  # in place of a client's address, on the local socket
_MAX_ACCEPTS = 32  # per poll, so that open connections are served in between
_PAUSE = 0.5  # seconds
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NETWORK_ERRORS = (errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENONET)
_CLIENT_ERRORS = (errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENOPROTOOPT, errno.EOPNOTSUPP)
_PENDING_ERRORS = _NETWORK_ERRORS + _CLIENT_ERRORS  # accept(2): errors of the client that was waiting; the next one may be well


class Acceptor:
    """The listening sockets. `resume_at` is the end of the pause (monotonic seconds), None while they are polled."""

    def __init__(self, listeners: Sequence[socket.socket], epoll: select.epoll, stats: HttpStats) -> None:
        self._listeners = {listener.fileno(): listener for listener in listeners}
        self._epoll = epoll
        self._stats = stats
        self.resume_at: float | None = None
        for descriptor in self._listeners:
            epoll.register(descriptor, select.EPOLLIN)

    def __contains__(self, descriptor: int) -> bool:
        return descriptor in self._listeners

    def accept(self, descriptor: int, free_descriptor: Callable[[], bool]) -> Iterator[tuple[socket.socket, str]]:
        """Accept pending connections, with their addresses.

        Where no descriptor is left, `free_descriptor` is called once; pause if it returns False or did not help.
        """
        freed = False
        for _ in range(_MAX_ACCEPTS):
            try:
                sock, address = self._listeners[descriptor].accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _PENDING_ERRORS:
                    continue
                self._stats.accept_errors += 1
                if error.errno not in _OUT_OF_RESOURCES or freed or not free_descriptor():  # freed, and another thread took it
                    self._pause()
                    return
                freed = True
                continue
            freed = False
            if isinstance(address, tuple):
                yield sock, address[0]
            else:  # AF_UNIX: clients have no address, and sockets do not inherit the limits
                limit_kernel_memory(sock)
                yield sock, LOCAL

    def _pause(self) -> None:
        """Stop polling the listeners for a moment: epoll would report the same pending client again and again."""
        self.resume_at = time.monotonic() + _PAUSE
        for descriptor in self._listeners:
            self._epoll.modify(descriptor, 0)

    def resume(self, now: float) -> None:
        """Poll the listeners again when the pause is over."""
        if self.resume_at is not None and self.resume_at <= now:
            self.resume_at = None
            for descriptor in self._listeners:
                self._epoll.modify(descriptor, select.EPOLLIN)

    def close(self) -> None:
        """Close the listening sockets."""
        for listener in self._listeners.values():
            listener.close()
