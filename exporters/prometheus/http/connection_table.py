"""The connections that are open: how many there may be, how long, and who is thrown out for the others' sake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporters.prometheus.http.state import State

if TYPE_CHECKING:
    import select
    from collections.abc import Callable, Iterator

    from exporters.prometheus.http.connection import Connection
    from exporters.prometheus.http.stats import Traffic

CONNECTIONS = 128
UNSENT = 8 << 20  # bytes of responses that slow readers may hold together


class Crowd:
    """Everybody who is connected. `farewell` is called with each who goes, before the socket is closed."""

    def __init__(self, epoll: select.epoll, traffic: Traffic, farewell: Callable[[Connection], None]) -> None:
        self._epoll = epoll
        self._traffic = traffic
        self._farewell = farewell
        self._here: dict[int, Connection] = {}

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._here.values()))

    def __contains__(self, connection: Connection) -> bool:
        return self._here.get(connection.fd) is connection

    def at(self, descriptor: int) -> Connection | None:
        """Give the connection of a descriptor."""
        return self._here.get(descriptor)

    def add(self, connection: Connection) -> None:
        """Take one in."""
        self._here[connection.fd] = connection
        self._epoll.register(connection.fd, connection.events)
        self._traffic.connections = len(self._here)

    def close(self, connection: Connection) -> None:
        """Let one go."""
        if self._here.pop(connection.fd, None) is connection:
            self._epoll.unregister(connection.fd)
        self._farewell(connection)
        connection.close()
        self._traffic.connections = len(self._here)

    def bound(self) -> None:
        """Make a place for one more."""
        if len(self._here) >= CONNECTIONS:
            self._throw_out(self._oldest(), "bound")

    def make_room(self) -> bool:
        """Give up one connection for its descriptor; False where there is none."""
        if self._here:
            self._throw_out(self._oldest(), "descriptors")
            return True
        return False

    def bound_unsent(self, newest: Connection) -> None:
        """Throw out the slowest readers when all together hold too much; never the one that was just answered."""
        writing = sorted((one for one in self._here.values() if one.state is State.WRITING), key=lambda one: one.since)
        unsent = sum(len(one.out) for one in writing)
        for connection in writing:
            if unsent <= UNSENT:
                return
            if connection is not newest:
                unsent -= len(connection.out)
                self._throw_out(connection, "memory")

    def expire(self, now: float) -> None:
        """Throw out those whose time is over."""
        for connection in [one for one in self._here.values() if one.deadline <= now]:
            self._throw_out(connection, "deadline")

    def _oldest(self) -> Connection:
        """Whom to throw out: those that wait for nothing, then those that have not even asked, the oldest first."""
        return min(self._here.values(), key=lambda one: (one.state, one.since))

    def _throw_out(self, connection: Connection, reason: str) -> None:
        if connection.state is not State.LINGERING and not (connection.state is State.IDLE and reason == "deadline"):
            self._traffic.evicted[reason] += 1
        self.close(connection)
