"""Connection of one client: TLS handshake, requests in, responses out. Never blocks; each call does what the socket allows now."""

from __future__ import annotations

import select
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from exporters.prometheus.http.framing import Framing
from exporters.prometheus.http.state import REQUEST_SECONDS, SECONDS, ConnectionClosed, ConnectionState
from exporters.prometheus.routes import Request, Response
from exporters.prometheus.web_config.tls import is_san_allowed

if TYPE_CHECKING:
    from exporters.prometheus.web_config.auth import Credentials
    from exporters.prometheus.web_config.reloader import ServerPolicy

_CHUNK = 16 << 10
_EVENTS = {ConnectionState.WRITING: select.EPOLLOUT, ConnectionState.AUTHENTICATING: 0}  # the other states wait for input
_HTTP_ON_TLS_PORT = b"HTTP/1.0 400 Bad Request\r\nCache-Control: no-store\r\n\r\nHTTP request to an HTTPS port; expected https://.\n"


class Connection:
    """A client's connection. `events` is the epoll mask, `deadline` the time of its eviction (monotonic seconds)."""

    def __init__(self, sock: socket.socket, address: str, policy: ServerPolicy, now: float) -> None:
        self.address = address
        self.policy = policy
        self.credentials: Credentials | None = None
        self.request = Request("", "", {})
        self.unsent = memoryview(b"")
        self._http: Framing | None = None  # made with the first byte: an idle flood costs no parsers
        self.fd = sock.fileno()
        self.since = now
        self.deadline = now + REQUEST_SECONDS
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

    def enter(self, state: ConnectionState, now: float) -> None:
        """Change state, and start the time limit of the new one."""
        self.state = state
        self.since = now
        self.events = _EVENTS.get(state, select.EPOLLIN)
        self.deadline = now + SECONDS.get(state, REQUEST_SECONDS)

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
            self.request = received
        return received

    def respond(self, response: Response, now: float) -> None:
        """Start to send a response."""
        assert self._http is not None  # noqa: S101 — there was a request
        self.unsent = memoryview(self._http.frame(response, self.policy.headers))
        self.request = Request("", "", {})
        self.enter(ConnectionState.WRITING, now)

    def send(self, now: float) -> bool:
        """Continue to send; return True when all is sent and the client may send its next request."""
        while self.unsent:
            try:
                sent = self._sock.send(self.unsent)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                self.events = select.EPOLLIN if isinstance(error, ssl.SSLWantReadError) else select.EPOLLOUT
                return False
            except OSError:
                raise ConnectionClosed from None
            self.unsent = self.unsent[sent:]
        self.unsent = memoryview(b"")
        if self._http is None:
            raise ConnectionClosed
        if self._http.linger:
            try:
                self._sock.shutdown(socket.SHUT_WR)  # a TLS socket is a plain one from here on
            except OSError:
                raise ConnectionClosed from None
            self.enter(ConnectionState.LINGERING, now)
            return False
        self._http.next_cycle()
        self.enter(ConnectionState.IDLE, now)
        return True

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
        if isinstance(self._sock, ssl.SSLSocket) and self.state not in (ConnectionState.HANDSHAKE, ConnectionState.LINGERING):
            with suppress(OSError, ValueError):
                self._sock.unwrap()
        self._sock.close()
