"""One client: TLS handshake, requests by h11, responses. Never blocks; each call does what can be done now."""

from __future__ import annotations

import select
import socket
import ssl
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import h11

from exporters.prometheus.pages import Request, Response, plain
from exporters.prometheus.state import REQUEST_SECONDS, SECONDS, Gone, State
from exporters.prometheus.tls import admitted

if TYPE_CHECKING:
    from exporters.prometheus.access import Access
    from exporters.prometheus.auth import Credentials

_HEAD_LIMIT = 16 << 10  # bytes of a request's head
_BODY_LIMIT = 64 << 10  # bytes of a body that nobody wants, read to keep the connection
_CHUNK = 16 << 10
_PLAIN_TO_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks TLS: write https://.\n"


class Connection:
    """A client's connection. `events` is what epoll must wait for, `deadline` when it is thrown out (monotonic seconds)."""

    def __init__(self, sock: socket.socket, address: str, access: Access, now: float) -> None:
        self.address = address
        self.access = access
        self.credentials: Credentials | None = None
        self.request = Request("", "", {})
        self.out = memoryview(b"")
        self._http: h11.Connection | None = None  # made with the first byte: an idle flood costs no parsers
        self._body = 0
        self._linger = False
        self.fd = sock.fileno()
        self.since = now
        self.deadline = now + REQUEST_SECONDS
        if access.context is None:
            self._sock = sock
            self.state = State.READING
        else:
            self._sock = access.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            self.state = State.HANDSHAKE
        self.events = select.EPOLLIN

    @property
    def buffered(self) -> bool:
        """Whether there is more to read that epoll knows nothing of."""
        if self.state is State.IDLE and self._http is not None and self._http.trailing_data[0]:
            return True  # the next request came with the last one
        return self.state in (State.IDLE, State.READING) and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def enter(self, state: State, now: float) -> None:
        """Change state; the time for it runs from now."""
        self.state = state
        self.since = now
        self.events = select.EPOLLOUT if state is State.WRITING else 0 if state is State.ASKING else select.EPOLLIN
        self.deadline = now + SECONDS.get(state, REQUEST_SECONDS)

    def shake_hands(self, now: float) -> bool:
        """Go on with the handshake; True when it is done. The time for the request goes on."""
        sock = self._sock
        assert isinstance(sock, ssl.SSLSocket)  # noqa: S101 — only such a one is in this state
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            self.events = select.EPOLLIN
            return False
        except ssl.SSLWantWriteError:
            self.events = select.EPOLLOUT
            return False
        except (OSError, ValueError) as error:
            if getattr(error, "reason", "") == "HTTP_REQUEST":
                with suppress(OSError):
                    socket.socket.send(sock, _PLAIN_TO_TLS)
            raise Gone(handshake=True) from None
        if not admitted(sock, self.access.allowed_sans):
            raise Gone(handshake=True)
        deadline = self.deadline
        self.enter(State.READING, now)
        self.deadline = deadline
        return True

    def receive(self, now: float) -> Request | Response | None:
        """Read on; a request once it is whole, the response to one that cannot be, None where more must come."""
        if (data := self._recv()) is None and not self.buffered:
            return None
        if self._http is None:
            self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_LIMIT)
        if self.state is State.IDLE:
            self.enter(State.READING, now)
        try:
            if data is not None:
                self._http.receive_data(data)
            return self._next_request(self._http)
        except h11.RemoteProtocolError as error:
            if data == b"":
                raise Gone from None
            return plain(error.error_status_hint, HTTPStatus(error.error_status_hint).phrase)

    def _next_request(self, http: h11.Connection) -> Request | Response | None:
        while (event := http.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Request):
                self._body = 0
                self.request = _request(event)
                if http.they_are_waiting_for_100_continue:
                    return self.request  # the final answer comes at once: no method here wants the body (RFC 9110, 10.1.1)
            elif isinstance(event, h11.Data):
                self._body += len(event.data)
                if self._body > _BODY_LIMIT:
                    return plain(413, "No body is wanted here.")
            elif isinstance(event, h11.EndOfMessage):
                return self.request
            else:
                raise Gone
        return None

    def respond(self, response: Response, now: float) -> None:
        """Frame a response and begin to send it."""
        http = self._http
        assert http is not None  # noqa: S101 — there was a request
        headers = [("Date", formatdate(usegmt=True)), *response.headers, *self.access.headers, ("Content-Length", str(len(response.body)))]
        self._linger = http.their_state not in (h11.DONE, h11.MUST_CLOSE)  # there may be more that nobody will read
        if self._linger:
            headers.append(("Connection", "close"))
        head = http.send(h11.Response(status_code=response.status, headers=headers, reason=HTTPStatus(response.status).phrase))
        body = b"" if self.request.method == "HEAD" and http.their_state is not h11.ERROR else response.body
        end = (http.send(h11.Data(body)) or b"" if body else b"") + (http.send(h11.EndOfMessage()) or b"")
        self.out = memoryview((head or b"") + end)
        self.request = Request("", "", {})
        self.enter(State.WRITING, now)

    def send(self, now: float) -> bool:
        """Send on; True when the client has it all and may ask again."""
        while self.out:
            try:
                sent = self._sock.send(self.out)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self.events = select.EPOLLOUT
                return False
            except ssl.SSLWantReadError:
                self.events = select.EPOLLIN
                return False
            except OSError:
                raise Gone from None
            self.out = self.out[sent:]
        self.out = memoryview(b"")
        http = self._http
        if self._linger:
            self._half_close(now)
            return False
        if http is None or http.our_state is not h11.DONE or http.their_state is not h11.DONE:
            raise Gone  # they or we said `Connection: close`
        http.start_next_cycle()
        self.enter(State.IDLE, now)
        return True

    def drain(self) -> None:
        """Throw away what still comes in: closing with bytes unread would tear the response away from the client."""
        try:
            if self._sock.recv(_CHUNK):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        raise Gone

    def close(self) -> None:
        """Let go, with a TLS farewell where that is possible at once."""
        if isinstance(self._sock, ssl.SSLSocket) and self.state not in (State.HANDSHAKE, State.LINGERING):
            with suppress(OSError, ValueError):
                self._sock.unwrap()
        self._sock.close()

    def _half_close(self, now: float) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)  # a TLS socket is a plain one from here on
        except OSError:
            raise Gone from None
        self.enter(State.LINGERING, now)

    def _recv(self) -> bytes | None:
        try:
            return self._sock.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            raise Gone from None


def _request(event: h11.Request) -> Request:
    """Take method, path without query, and headers; a target may be a whole URL (RFC 9112, 3.2.2)."""
    target = event.target.decode("latin-1")
    if not target.startswith("/"):
        with suppress(ValueError):
            target = urlsplit(target).path or "/"
    return Request(event.method.decode("latin-1"), target.partition("?")[0], dict(event.headers))
