"""Taking newcomers in: what accept(2) may say, and how not to spin when there is no descriptor left for them."""

from __future__ import annotations

import errno
import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from exporters.prometheus.http.stats import Traffic

_ACCEPTS = 32  # a turn: those already here are served between
_PAUSE = 0.5  # seconds
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_LOST = (  # accept(2): what became of a client that was waiting; the next one may be well
    errno.ECONNABORTED,
    errno.EPERM,
    errno.EPROTO,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENOPROTOOPT,
    errno.ENONET,
    errno.EOPNOTSUPP,
)


class Intake:
    """The listening sockets. `resume_at` is when they listen again (monotonic seconds), None while they do."""

    def __init__(self, listeners: Sequence[socket.socket], epoll: select.epoll, traffic: Traffic) -> None:
        self._listeners = {listener.fileno(): listener for listener in listeners}
        self._epoll = epoll
        self._traffic = traffic
        self.resume_at: float | None = None
        for descriptor in self._listeners:
            epoll.register(descriptor, select.EPOLLIN)

    def __contains__(self, descriptor: int) -> bool:
        return descriptor in self._listeners

    def newcomers(self, descriptor: int, make_room: Callable[[], bool]) -> Iterator[tuple[socket.socket, str]]:
        """Accept those who wait, with their addresses. Without a descriptor one is made room for; where that does not help, pause."""
        made_room = False
        for _ in range(_ACCEPTS):
            try:
                sock, address = self._listeners[descriptor].accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _LOST:
                    continue
                self._traffic.accept_errors += 1
                if error.errno not in _NO_ROOM or made_room or not make_room():  # made room, and others in this process took it
                    self._pause()
                    return
                made_room = True
                continue
            made_room = False
            yield sock, address[0]

    def _pause(self) -> None:
        """Stop listening for a moment: epoll would report the same waiting client again and again."""
        self.resume_at = time.monotonic() + _PAUSE
        for descriptor in self._listeners:
            self._epoll.modify(descriptor, 0)

    def resume(self, now: float) -> None:
        """Listen again when the pause is over."""
        if self.resume_at is not None and self.resume_at <= now:
            self.resume_at = None
            for descriptor in self._listeners:
                self._epoll.modify(descriptor, select.EPOLLIN)

    def close(self) -> None:
        """Stop listening for good."""
        for listener in self._listeners.values():
            listener.close()
