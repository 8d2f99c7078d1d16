"""One client's socket: TLS handshake, what comes in, what goes out. Never blocks; each call does what can be done now."""

from __future__ import annotations

import select
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from exporters.prometheus.http.framing import Framing
from exporters.prometheus.http.state import REQUEST_SECONDS, SECONDS, Gone, State
from exporters.prometheus.routes import Request, Response
from exporters.prometheus.web_config.tls import admitted

if TYPE_CHECKING:
    from exporters.prometheus.web_config.auth import Credentials
    from exporters.prometheus.web_config.reloader import Access

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
        self._http: Framing | None = None  # made with the first byte: an idle flood costs no parsers
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
        if self.state is State.IDLE and self._http is not None and self._http.ahead:
            return True
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
            self._http = Framing()
        if self.state is State.IDLE:
            self.enter(State.READING, now)
        asked = self._http.receive(data)
        if isinstance(asked, Request):
            self.request = asked
        return asked

    def respond(self, response: Response, now: float) -> None:
        """Begin to send a response."""
        assert self._http is not None  # noqa: S101 — there was a request
        self.out = memoryview(self._http.frame(response, self.access.headers))
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
        if self._http is None:
            raise Gone
        if self._http.linger:
            self._half_close(now)
            return False
        self._http.next_cycle()
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
