"""Connection of one client: TLS handshake, requests in, responses out. Never blocks; each call does what the socket allows now."""

from __future__ import annotations

import fcntl
import select
import socket
import ssl
import struct
import termios
from contextlib import suppress
from typing import TYPE_CHECKING

from exporters.prometheus.access import Client
from exporters.prometheus.http.acceptor import LOCAL
from exporters.prometheus.http.framing import Framing
from exporters.prometheus.http.state import MIN_RATE, MIN_RATE_GRACE, REQUEST_SECONDS, SECONDS, ConnectionClosed, ConnectionState
from exporters.prometheus.routes import Request, Response
from exporters.prometheus.web_config.tls import is_san_allowed

if TYPE_CHECKING:
    from exporters.prometheus.web_config.auth import Credentials
    from exporters.prometheus.web_config.reloader import ServerPolicy

_CHUNK = 16 << 10
_EVENTS = {ConnectionState.WRITING: select.EPOLLOUT, ConnectionState.AUTHENTICATING: 0}  # the other states wait for input
_FIRST_LOOK, _LAST_LOOK = 0.002, 1.0  # seconds between looks for acknowledgements while something waits for them, doubling
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close(2) discards what was not sent and resets the connection (socket(7))
_HTTP_ON_TLS_PORT = b"HTTP/1.0 400 Bad Request\r\nCache-Control: no-store\r\n\r\nHTTP request to an HTTPS port; expected https://.\n"


class Connection:
    """A client's connection. `events` is the epoll mask, `deadline` the time of its eviction (monotonic seconds)."""

    def __init__(self, sock: socket.socket, address: str, policy: ServerPolicy, now: float) -> None:
        self.address = address
        self.client = Client("" if address == LOCAL else address, is_authenticated=policy.users is not None)  # before requests are answered
        self.policy = policy
        self.credentials: Credentials | None = None
        self.request = Request("", "", {})
        self.unsent = memoryview(b"")
        self._size = 0  # bytes of the response
        self._held = 0  # bytes of memory behind `unsent`
        self._left = 0  # bytes of the response that were not acknowledged when the time limit began
        self._responded_at = now
        self._look_seconds = 0.0  # until the next look for acknowledgements, 0 if nothing waits for them
        self._is_closing = False
        self._http: Framing | None = None  # made with the first byte: an idle flood costs no parsers
        self.fd = sock.fileno()
        self.since = now
        self.deadline = self._limit = now + REQUEST_SECONDS
        if policy.context is None:
            self._sock = sock
            self.state = ConnectionState.READING
        else:
            self._sock = policy.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            self.state = ConnectionState.HANDSHAKE
        self.events = select.EPOLLIN

    @property
    def has_buffered_input(self) -> bool:
        """True if there is input that epoll does not report, in h11 or in OpenSSL."""
        if self.state is ConnectionState.IDLE and self._http is not None and self._http.has_pipelined_data:
            return True
        is_reading = self.state in (ConnectionState.IDLE, ConnectionState.READING)
        return is_reading and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    @property
    def held_bytes(self) -> int:
        """Bytes of memory that the unsent rest of the response takes."""
        return self._held

    @property
    def eviction_rank(self) -> tuple[int, float]:
        """Order of eviction: state, then age. Delivered and waiting for nothing is idle."""
        if self.state is not ConnectionState.DELIVERING:
            return self.state, self.since
        is_idle = not self._look_seconds and not self._unacknowledged()
        return ConnectionState.IDLE if is_idle else ConnectionState.WRITING, self.since

    def enter(self, state: ConnectionState, now: float) -> None:
        """Change state, and start the time limit of the new one."""
        self.state = state
        self.since = now
        self.events = _EVENTS.get(state, select.EPOLLIN)
        self.deadline = self._limit = now + SECONDS.get(state, REQUEST_SECONDS)
        self._look_seconds = 0.0

    def handshake(self, now: float) -> bool:
        """Continue the TLS handshake; return True when it is done. The time limit of the request goes on."""
        sock = self._sock
        assert isinstance(sock, ssl.SSLSocket)  # noqa: S101 — only such a one is in this state
        try:
            sock.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            self.events = select.EPOLLIN if isinstance(error, ssl.SSLWantReadError) else select.EPOLLOUT
            return False
        except (OSError, ValueError) as error:
            if getattr(error, "reason", "") == "HTTP_REQUEST":
                with suppress(OSError):
                    socket.socket.send(sock, _HTTP_ON_TLS_PORT)
            raise ConnectionClosed(in_handshake=True) from None
        if not is_san_allowed(sock, self.policy.allowed_sans):
            raise ConnectionClosed(in_handshake=True)
        if sock.context.verify_mode != ssl.CERT_NONE and sock.getpeercert():  # empty without one, which CERT_OPTIONAL allows
            self.client = self.client._replace(is_authenticated=True)
        deadline = self.deadline
        self.enter(ConnectionState.READING, now)
        self.deadline = deadline
        return True

    def receive(self, now: float) -> Request | Response | None:
        """Read and parse: return a request once it is whole, the response to an invalid one, None if more must come."""
        data: bytes | None = None
        try:
            data = self._sock.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if not self.has_buffered_input:
                return None
        except OSError:
            raise ConnectionClosed from None
        if self._http is None:
            self._http = Framing()
        if self.state is ConnectionState.IDLE:
            self.enter(ConnectionState.READING, now)
        received = self._http.receive(data)
        if isinstance(received, Request):
            self.request = received = received._replace(client=self.client)
        return received

    def respond(self, response: Response, now: float) -> None:
        """Start to send a response."""
        assert self._http is not None  # noqa: S101 — there was a request
        self.unsent = memoryview(self._http.frame(response, self.policy.headers))
        self._size = self._held = self._left = len(self.unsent)
        self._responded_at = now
        self.request = Request("", "", {})
        self.enter(ConnectionState.WRITING, now)

    def send(self, now: float) -> bool:
        """Continue to send; return True when the kernel has all of it. The next request is answered when the client has it, too."""
        while self.unsent:
            try:
                sent = self._sock.send(self.unsent)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                self.events = select.EPOLLIN if isinstance(error, ssl.SSLWantReadError) else select.EPOLLOUT
                return False
            except OSError:
                raise ConnectionClosed from None
            self.unsent = self.unsent[sent:]
            if len(self.unsent) < self._held // 2:  # a view keeps all of the response in memory
                self.unsent = memoryview(bytes(self.unsent))
                self._held = len(self.unsent)
        if self._http is None:
            raise ConnectionClosed
        if self._http.linger:
            try:
                self._sock.shutdown(socket.SHUT_WR)  # a TLS socket is a plain one from here on
            except OSError:
                raise ConnectionClosed from None
            self.enter(ConnectionState.LINGERING, now)
            return True
        self._http.next_cycle()
        self.enter(ConnectionState.DELIVERING, now)
        self._look_seconds = _FIRST_LOOK if self._http.has_pipelined_data else 0.0
        self.settle(now)
        return True

    def settle(self, now: float) -> bool:
        """Return True if the client has acknowledged the whole response, so that its next request may be answered.

        Else look again soon if the next request is there. A client that has read a response acknowledges it with its next request at
        the latest, so this is one that does not wait for responses, or does not read them.
        """
        if self.state is not ConnectionState.DELIVERING:
            return True
        if not self._unacknowledged():
            if self._is_closing:
                raise ConnectionClosed
            since = self.since
            self.enter(ConnectionState.IDLE, now)
            self.since = since
            return True
        if self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise ConnectionClosed
        if self._look_seconds:
            self.events = select.EPOLLET  # no input, and no hang-up that is reported again and again
            self.deadline = min(self._limit, now + self._look_seconds)
            self._look_seconds = min(2 * self._look_seconds, _LAST_LOOK)
        return False

    def on_input(self, now: float) -> bool:
        """Settle, and look again soon: the client has sent its next request, or its end."""
        self._look_seconds = self._look_seconds or _FIRST_LOOK
        return self.settle(now)

    def has_progress(self, now: float) -> bool:
        """Return True, at its deadline, if the client has acknowledged a part of the response since the last one; start another period.

        What counts is what the client's kernel acknowledged, not what this one took over. False for a client that is slower than
        `MIN_RATE`, too, and in states without a response.
        """
        if self.state is ConnectionState.DELIVERING:
            if self.settle(now) or now < self._limit:
                return True
        elif self.state not in (ConnectionState.WRITING, ConnectionState.LINGERING):
            return False
        left = len(self.unsent) + self._unacknowledged()
        required = MIN_RATE * (now - self._responded_at - MIN_RATE_GRACE)
        if not left or left >= self._left or self._size - left < required:
            return False
        self._left = left
        self._limit = now + SECONDS[self.state]
        self.deadline = min(self._limit, now + self._look_seconds) if self._look_seconds else self._limit
        return True

    def finish(self, now: float) -> bool:
        """Begin to close; return True if the client has yet to acknowledge what was sent, False if the connection can be closed now.

        A connection that is closed before is the kernel's alone: it would hold the response for minutes, and nothing would count it.
        """
        if self._is_closing or self.state is ConnectionState.LINGERING:
            return False
        self._notify_end()
        if not self._unacknowledged():
            return False
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        self._is_closing = True
        self.unsent, self._held = memoryview(b""), 0
        self.enter(ConnectionState.DELIVERING, now)
        self._look_seconds = _FIRST_LOOK
        try:
            return not self.settle(now)
        except ConnectionClosed:  # acknowledged meanwhile
            return False

    def _unacknowledged(self) -> int:
        """Return the bytes in the send queue that the peer has not acknowledged (tcp(7), unix(7): SIOCOUTQ), its end included."""
        try:
            return int(struct.unpack("i", fcntl.ioctl(self.fd, termios.TIOCOUTQ, b"\0" * 4))[0])
        except OSError:
            return 0

    def drain(self) -> None:
        """Discard input: closing with bytes unread would reset the connection before the client has the response."""
        try:
            if self._sock.recv(_CHUNK):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        raise ConnectionClosed

    def close(self) -> None:
        """Close the socket, with a TLS close_notify if that does not block."""
        self._notify_end()
        self._sock.close()

    def abort(self) -> None:
        """Close the socket and discard what the kernel has of it: the client gets a reset."""
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._sock.close()

    def _notify_end(self) -> None:
        if isinstance(self._sock, ssl.SSLSocket) and self.state not in (ConnectionState.HANDSHAKE, ConnectionState.LINGERING):
            with suppress(OSError, ValueError):
                self._sock.unwrap()
