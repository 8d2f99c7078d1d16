"""Connection table: limits on the number of connections, their age and their unsent bytes, and eviction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporters.prometheus.http.state import ConnectionState

if TYPE_CHECKING:
    import select
    from collections.abc import Callable, Iterator

    from exporters.prometheus.http.connection import Connection
    from exporters.prometheus.http.stats import HttpStats

MAX_CONNECTIONS = 128
MAX_UNSENT = 8 << 20  # bytes of responses that slow readers may hold together


class ConnectionTable:
    """The open connections. `on_close` is called with each connection before its socket is closed."""

    def __init__(self, epoll: select.epoll, stats: HttpStats, on_close: Callable[[Connection], None]) -> None:
        self._epoll = epoll
        self._stats = stats
        self._on_close = on_close
        self._connections: dict[int, Connection] = {}

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._connections.values()))

    def __contains__(self, connection: Connection) -> bool:
        return self._connections.get(connection.fd) is connection

    def get(self, descriptor: int) -> Connection | None:
        """Return the connection of a descriptor."""
        return self._connections.get(descriptor)

    def add(self, connection: Connection) -> None:
        """Add a connection and poll its descriptor."""
        self._connections[connection.fd] = connection
        self._epoll.register(connection.fd, connection.events)
        self._stats.connections = len(self._connections)

    def close(self, connection: Connection, *, abort: bool = False) -> None:
        """Remove a connection and close it; `abort` discards what the client has not acknowledged."""
        if self._connections.pop(connection.fd, None) is connection:
            self._epoll.unregister(connection.fd)
        self._on_close(connection)
        if abort:
            connection.abort()
        else:
            connection.close()
        self._stats.connections = len(self._connections)

    def enforce_limit(self) -> None:
        """Evict a connection if another one would exceed the limit."""
        if len(self._connections) >= MAX_CONNECTIONS:
            self._evict(self._oldest(), "limit")

    def free_descriptor(self) -> bool:
        """Evict one connection for its descriptor; return False if there is none."""
        if self._connections:
            self._evict(self._oldest(), "descriptors")
            return True
        return False

    def limit_unsent(self, newest: Connection) -> None:
        """Evict the slowest readers while all together hold too many bytes; never `newest`, which was just answered."""
        writing = [connection for connection in self if connection.state is ConnectionState.WRITING]
        writing.sort(key=lambda connection: connection.since)
        unsent = sum(connection.held_bytes for connection in writing)
        for connection in writing:
            if unsent <= MAX_UNSENT:
                return
            if connection is not newest:
                unsent -= connection.held_bytes
                self._evict(connection, "memory")

    def overdue(self, now: float) -> Iterator[Connection]:
        """Yield the connections whose deadline has passed."""
        for connection in self:
            if connection.deadline <= now:
                yield connection

    def expire(self, connection: Connection) -> None:
        """Evict a connection whose deadline has passed."""
        self._evict(connection, "deadline")

    def _oldest(self) -> Connection:
        """Return the next connection to evict: idle ones first, then those without a whole request, the oldest first."""
        return min(self._connections.values(), key=lambda connection: connection.eviction_rank)

    def _evict(self, connection: Connection, reason: str) -> None:
        state = connection.state
        is_idle = state is ConnectionState.IDLE and reason == "deadline"
        if state is not ConnectionState.LINGERING and not is_idle:
            self._stats.evicted[reason] += 1
        self.close(connection, abort=not is_idle)
