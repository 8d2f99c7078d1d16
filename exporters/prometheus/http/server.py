"""HTTP server: one thread, one epoll instance. When a limit is reached it evicts the oldest connection and accepts the newest."""

from __future__ import annotations

import logging
import os
import select
import time
from typing import TYPE_CHECKING

from exporters.prometheus.http.acceptor import LOCAL, Acceptor
from exporters.prometheus.http.connection import Connection
from exporters.prometheus.http.connection_table import ConnectionTable
from exporters.prometheus.http.pending_auth import PendingAuth
from exporters.prometheus.http.state import ConnectionClosed, ConnectionState
from exporters.prometheus.http.stats import HttpStats
from exporters.prometheus.routes import Request, Response, plain
from exporters.prometheus.web_config.auth import parse_authorization
from exporters.prometheus.web_config.reloader import ServerPolicy

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from exporters.prometheus.web_config.reloader import WebConfigReloader

_log = logging.getLogger(__name__)
_LOCAL_POLICY = ServerPolicy()  # without TLS and users: the permissions of the socket's file decide who may connect
_UNAUTHORIZED = plain(401, "Unauthorized; expected a user and a password.", ("WWW-Authenticate", 'Basic realm="vitald", charset="UTF-8"'))


class HttpServer:
    """Serves until `stop()`. `run()` is one thread's; other threads may only call `stop()`."""

    def __init__(self, listeners: Sequence[socket.socket], reloader: WebConfigReloader, on_request: Callable[[Request], Response]) -> None:
        self.stats = HttpStats()
        self._reloader = reloader
        self._on_request = on_request
        self._epoll = select.epoll()
        self._acceptor = Acceptor(listeners, self._epoll, self.stats)
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._connections = ConnectionTable(self._epoll, self.stats, self._on_close)
        self._with_buffered_input: set[Connection] = set()
        self._pending_auth = PendingAuth(self._wake)
        self._stopping = False
        self._epoll.register(self._wake_fd, select.EPOLLIN)

    def run(self) -> None:
        """Serve. Nothing that a client or a page does ends this: a failure is logged, and its connection is closed."""
        while not self._stopping:
            try:
                self._run_once()
            except Exception:  # noqa: BLE001 — a server that ends is of no use
                _log.exception("HTTP server loop failed, continuing")
                time.sleep(0.1)  # a failure that repeats does not take a whole core
        for connection in self._connections:
            self._connections.close(connection)

    def stop(self) -> None:
        """Make `run()` return; from any thread, more than once."""
        self._stopping = True
        self._pending_auth.close()
        self._wake()

    def close(self) -> None:
        """Close the listening sockets; after `run()` has returned, or if it was never called.

        The eventfd stays open: a thread that is still in bcrypt will write to it, and its number must not become another file's.
        """
        self._acceptor.close()
        self._epoll.close()

    def _wake(self) -> None:
        os.eventfd_write(self._wake_fd, 1)

    def _run_once(self) -> None:
        events = self._epoll.poll(self._timeout())
        listeners = []
        for descriptor, _ in events:
            if descriptor in self._acceptor:
                listeners.append(descriptor)  # after the others: a new connection may evict one of them
            elif descriptor == self._wake_fd:
                os.eventfd_read(self._wake_fd)
            elif (connection := self._connections.get(descriptor)) is not None:
                self._step(connection, self._advance)
        buffered, self._with_buffered_input = self._with_buffered_input, set()
        for connection in buffered:
            self._step(connection, self._advance)
        for connection, is_valid in self._pending_auth.results():
            self._step(connection, self._authenticated if is_valid else self._unauthorized)
        for descriptor in listeners:
            for sock, address in self._acceptor.accept(descriptor, self._connections.free_descriptor):
                self._add(sock, address)
        now = time.monotonic()
        for connection in self._connections.overdue(now):
            self._step(connection, self._expire)
        self._acceptor.resume(now)

    def _timeout(self) -> float | None:
        """Return the seconds until the next deadline; None, for ever, without clients."""
        if self._with_buffered_input:
            return 0
        deadlines = [connection.deadline for connection in self._connections]
        if self._acceptor.resume_at is not None:
            deadlines.append(self._acceptor.resume_at)
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _add(self, sock: socket.socket, address: str) -> None:
        sock.setblocking(False)  # noqa: FBT003
        self._reload_web_config()
        self._connections.enforce_limit()
        try:
            policy = _LOCAL_POLICY if address == LOCAL else self._reloader.policy
            connection = Connection(sock, address, policy, time.monotonic())
        except (OSError, ValueError):  # closed before TLS could begin
            sock.close()
            return
        self._connections.add(connection)

    def _on_close(self, connection: Connection) -> None:
        self._with_buffered_input.discard(connection)
        if connection.state is ConnectionState.AUTHENTICATING:
            self._pending_auth.cancel(connection)

    def _step(self, connection: Connection, step: Callable[[Connection], None]) -> None:
        """Call `step`; close the connection if it fails, else poll for what it waits for. Skip one that was closed meanwhile."""
        if connection not in self._connections:
            return
        events = connection.events
        try:
            step(connection)
        except ConnectionClosed as closed:
            self.stats.handshake_failures += closed.in_handshake
            if connection.finish(time.monotonic()):
                self._poll(connection, events)
            else:
                self._connections.close(connection)
        except Exception:  # noqa: BLE001 — the failure of one client's connection is not the others'
            _log.exception("HTTP connection failed, closing it client=%s", connection.address)
            self._connections.close(connection)
        else:
            if connection in self._connections:
                self._poll(connection, events)

    def _poll(self, connection: Connection, events: int) -> None:
        """Poll for what the connection waits for; `events` is what was polled before."""
        if connection.events != events:
            self._epoll.modify(connection.fd, connection.events)
        if connection.has_buffered_input:
            self._with_buffered_input.add(connection)

    def _expire(self, connection: Connection) -> None:
        if not connection.has_progress(time.monotonic()):
            self._connections.expire(connection)

    def _advance(self, connection: Connection) -> None:
        now = time.monotonic()
        if connection.state is ConnectionState.HANDSHAKE and not connection.handshake(now):
            return
        if connection.state is ConnectionState.DELIVERING and not connection.on_input(now):
            return
        if connection.state in (ConnectionState.IDLE, ConnectionState.READING):
            received = connection.receive(now)
            if isinstance(received, Response):
                self._respond(connection, received)
            elif received is not None:
                self._authorize(connection, received)
        elif connection.state is ConnectionState.WRITING:
            connection.send(now)
        elif connection.state is ConnectionState.LINGERING:
            connection.drain()
        else:
            raise ConnectionClosed  # by the client, while its password was verified

    def _authorize(self, connection: Connection, request: Request) -> None:
        """Answer the request, or a 401, or have the password verified first."""
        self._reload_web_config()
        if connection.policy is not self._reloader.policy and connection.policy is not _LOCAL_POLICY:  # equal is not enough
            raise ConnectionClosed  # it was accepted under an older policy; clients ask again on a new connection
        users = connection.policy.users
        if users is None:
            self._respond(connection, self._on_request(request))
            return
        credentials = parse_authorization(request.headers.get(b"authorization", b""))
        if credentials is None:
            self._unauthorized(connection)
        elif users.is_cached(credentials):
            self._respond(connection, self._on_request(request))
        else:
            connection.credentials = credentials
            connection.enter(ConnectionState.AUTHENTICATING, time.monotonic())
            self._pending_auth.submit(connection, users, credentials)

    def _authenticated(self, connection: Connection) -> None:
        users, credentials = connection.policy.users, connection.credentials
        if connection.policy is not self._reloader.policy or users is None or credentials is None:
            raise ConnectionClosed  # the users changed meanwhile
        users.cache(credentials)
        self._respond(connection, self._on_request(connection.request))

    def _unauthorized(self, connection: Connection) -> None:
        self._respond(connection, _UNAUTHORIZED)

    def _respond(self, connection: Connection, response: Response) -> None:
        self.stats.requests[response.status] += 1
        now = time.monotonic()
        connection.respond(response, now)
        if not connection.send(now):
            self._connections.limit_unsent(connection)

    def _reload_web_config(self) -> None:
        """Follow the web config's files; idle connections of an older policy are closed."""
        if self._reloader.reload_if_changed():
            for connection in self._connections:
                if connection.eviction_rank[0] is ConnectionState.IDLE:
                    self._connections.close(connection)
