"""The HTTP server: one thread, one epoll. It serves who is there, and throws out the oldest rather than refuse the newest."""

from __future__ import annotations

import logging
import os
import select
import time
from typing import TYPE_CHECKING

from exporters.prometheus.http.acceptor import Intake
from exporters.prometheus.http.connection import Connection
from exporters.prometheus.http.connection_table import Crowd
from exporters.prometheus.http.state import Gone, State
from exporters.prometheus.http.stats import Traffic
from exporters.prometheus.routes import Request, Response, plain
from exporters.prometheus.web_config.auth import credentials
from exporters.prometheus.web_config.pending_auth import Questions

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from exporters.prometheus.web_config.reloader import Door

_log = logging.getLogger(__name__)
_UNAUTHORIZED = plain(401, "A user and a password are needed.", ("WWW-Authenticate", 'Basic realm="vitald", charset="UTF-8"'))


class Server:
    """Serves until `stop()`. `run()` is one thread's; the others may only call `stop()`."""

    def __init__(self, listeners: Sequence[socket.socket], door: Door, answer: Callable[[Request], Response]) -> None:
        self.traffic = Traffic()
        self._door = door
        self._answer = answer
        self._epoll = select.epoll()
        self._intake = Intake(listeners, self._epoll, self.traffic)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._crowd = Crowd(self._epoll, self.traffic, self._forget)
        self._again: set[Connection] = set()
        self._questions = Questions(self._rouse)
        self._stopping = False
        self._epoll.register(self._wake, select.EPOLLIN)

    def run(self) -> None:
        """Serve. No client and no page ends this: what goes wrong is logged, and the connection it happened on is closed."""
        while not self._stopping:
            try:
                self._turn()
            except Exception:  # noqa: BLE001 — a server that is gone helps nobody
                _log.exception("the HTTP server stumbled")
                time.sleep(0.1)  # whatever it is, it does not take a whole core
        for connection in self._crowd:
            self._crowd.close(connection)

    def stop(self) -> None:
        """Make `run()` return; from any thread, more than once."""
        self._stopping = True
        self._questions.close()
        self._rouse()

    def close(self) -> None:
        """Close the listening sockets; after `run()` has returned, or where it was never called.

        The eventfd stays: a thread that still asks bcrypt will write to it, and its number must not become another file's.
        """
        self._intake.close()
        self._epoll.close()

    def _rouse(self) -> None:
        os.eventfd_write(self._wake, 1)

    def _turn(self) -> None:
        events = self._epoll.poll(self._patience())
        accept = []
        for descriptor, _ in events:
            if descriptor in self._intake:
                accept.append(descriptor)  # after the others: a newcomer may have one of them thrown out
            elif descriptor == self._wake:
                os.eventfd_read(self._wake)
            elif (connection := self._crowd.at(descriptor)) is not None:
                self._serve(connection, self._advance)
        again, self._again = self._again, set()
        for connection in again:
            if connection in self._crowd:
                self._serve(connection, self._advance)
        for connection, right in self._questions.answers():
            self._serve(connection, self._let_in if right else self._turn_away)
        for descriptor in accept:
            for sock, address in self._intake.newcomers(descriptor, self._crowd.make_room):
                self._welcome(sock, address)
        self._expire()

    def _patience(self) -> float | None:
        """Seconds until something must be done unasked; None, for ever, without clients."""
        if self._again:
            return 0
        deadlines = [connection.deadline for connection in self._crowd]
        if self._intake.resume_at is not None:
            deadlines.append(self._intake.resume_at)
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _expire(self) -> None:
        now = time.monotonic()
        self._crowd.expire(now)
        self._intake.resume(now)

    def _welcome(self, sock: socket.socket, address: str) -> None:
        sock.setblocking(False)  # noqa: FBT003
        self._look_at_door()
        self._crowd.bound()
        try:
            connection = Connection(sock, address, self._door.access, time.monotonic())
        except (OSError, ValueError):  # gone before TLS could begin
            sock.close()
            return
        self._crowd.add(connection)

    def _forget(self, connection: Connection) -> None:
        """Do nothing more for one who goes."""
        self._again.discard(connection)
        if connection.state is State.ASKING:
            self._questions.withdraw(connection)

    def _serve(self, connection: Connection, step: Callable[[Connection], None]) -> None:
        """Take one step with a connection, whatever becomes of it."""
        events = connection.events
        try:
            step(connection)
        except Gone as gone:
            self.traffic.handshake_failures += gone.handshake
            self._crowd.close(connection)
        except Exception:  # noqa: BLE001 — one client's trouble is not the others'
            _log.exception("closing a connection from %s", connection.address)
            self._crowd.close(connection)
        else:
            if connection.events != events:
                self._epoll.modify(connection.fd, connection.events)
            if connection.buffered:
                self._again.add(connection)

    def _advance(self, connection: Connection) -> None:
        now = time.monotonic()
        if connection.state is State.HANDSHAKE and not connection.shake_hands(now):
            return
        if connection.state in (State.IDLE, State.READING):
            asked = connection.receive(now)
            if isinstance(asked, Response):
                self._respond(connection, asked)
            elif asked is not None:
                self._admit(connection, asked)
        elif connection.state is State.WRITING:
            connection.send(now)
        elif connection.state is State.LINGERING:
            connection.drain()
        else:
            raise Gone  # hung up while its password was looked at

    def _admit(self, connection: Connection, request: Request) -> None:
        """Answer, or say who is missing, or ask the doorkeeper."""
        self._look_at_door()
        if connection.access is not self._door.access:
            raise Gone  # it came in by an older door; clients ask again on a new connection
        users = connection.access.users
        if users is None:
            self._respond(connection, self._answer(request))
            return
        who = credentials(request.headers.get(b"authorization", b""))
        if who is None:
            self._respond(connection, _UNAUTHORIZED)
        elif users.known(who):
            self._respond(connection, self._answer(request))
        else:
            connection.credentials = who
            connection.enter(State.ASKING, time.monotonic())
            self._questions.ask(connection, users, who)

    def _let_in(self, connection: Connection) -> None:
        users, who = connection.access.users, connection.credentials
        if connection.access is not self._door.access or users is None or who is None:
            raise Gone  # the users changed meanwhile
        users.remember(who)
        self._respond(connection, self._answer(connection.request))

    def _turn_away(self, connection: Connection) -> None:
        self._respond(connection, _UNAUTHORIZED)

    def _respond(self, connection: Connection, response: Response) -> None:
        self.traffic.requests[response.status] += 1
        now = time.monotonic()
        connection.respond(response, now)
        if not connection.send(now):
            self._crowd.bound_unsent(connection)

    def _look_at_door(self) -> None:
        """Follow the web configuration; those who wait for nothing must come in by the new door."""
        if self._door.look():
            for connection in [one for one in self._crowd if one.state is State.IDLE]:
                self._crowd.close(connection)
