"""HTTP/1.1 framing of one connection by h11: bytes to requests, responses to bytes. Holds no socket."""

from __future__ import annotations

from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import h11

from exporters.prometheus.http.state import ConnectionClosed
from exporters.prometheus.routes import Request, Response, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD_LIMIT = 16 << 10  # bytes of a request's head
_NO_STORE = ("Cache-Control", "no-store")  # every response is the state of this moment, the errors too (RFC 9111, 5.2.2.5)
_POLICY = "Content-Security-Policy"  # browsers enforce each of several; of the other headers the web config's replaces the response's own
_BODY_LIMIT = 64 << 10  # bytes of a body that no method here uses, read to keep the connection


class Framing:
    """One connection's requests and responses. `linger`: after this response the client may still send bytes that will not be parsed."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_LIMIT)
        self._body = 0
        self._request = Request("", "", {})
        self.linger = False

    @property
    def has_pipelined_data(self) -> bool:
        """True if the next request came with the last one."""
        return bool(self._http.trailing_data[0])

    def receive(self, data: bytes | None) -> Request | Response | None:
        """Parse received bytes: return a request once it is whole, the response to an invalid one, None if more must come."""
        try:
            if data is not None:
                self._http.receive_data(data)
            return self._next_request()
        except h11.RemoteProtocolError as error:
            if data == b"":
                raise ConnectionClosed from None
            return plain(error.error_status_hint, HTTPStatus(error.error_status_hint).phrase)

    def _next_request(self) -> Request | Response | None:
        http = self._http
        while (event := http.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Request):
                self._body = 0
                self._request = _request(event)
                if not event.http_version.startswith(b"1."):
                    return plain(505, "HTTP version not supported; expected HTTP/1.0 or HTTP/1.1.")
                if event.http_version > b"1.1" and b"host" not in self._request.headers:  # to be taken as 1.1 (RFC 9110, 2.5)
                    return plain(400, HTTPStatus.BAD_REQUEST.phrase)
                if http.they_are_waiting_for_100_continue:
                    return self._request  # the final answer comes at once: no method here wants the body (RFC 9110, 10.1.1)
            elif isinstance(event, h11.Data):
                self._body += len(event.data)
                if self._body > _BODY_LIMIT:
                    return plain(413, "Request body too large; expected none.")
            elif isinstance(event, h11.EndOfMessage):
                return self._request
            else:
                raise ConnectionClosed
        return None

    def frame(self, response: Response, extra_headers: Iterable[tuple[str, str]]) -> bytes:
        """Return a response as bytes, with `extra_headers` beside its own."""
        http = self._http
        extra = {name.lower(): (name, value) for name, value in extra_headers}
        own = (header for header in response.headers if header[0] == _POLICY or header[0].lower() not in extra)
        headers = [("Date", formatdate(usegmt=True)), _NO_STORE, *own, *extra.values()]
        headers.append(("Content-Length", str(len(response.body))))
        self.linger = http.their_state not in (h11.DONE, h11.MUST_CLOSE)
        if self.linger:
            headers.append(("Connection", "close"))
        head = http.send(h11.Response(status_code=response.status, headers=headers, reason=HTTPStatus(response.status).phrase))
        body = b"" if self._request.method == "HEAD" and http.their_state is not h11.ERROR else response.body
        end = (http.send(h11.Data(body)) or b"" if body else b"") + (http.send(h11.EndOfMessage()) or b"")
        self._request = Request("", "", {})
        return (head or b"") + end

    def next_cycle(self) -> None:
        """Prepare for the next request; ConnectionClosed if either side sent `Connection: close`."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            raise ConnectionClosed
        self._http.start_next_cycle()


def _request(event: h11.Request) -> Request:
    """Return method, path without query, and headers; a target may be a whole URL (RFC 9112, 3.2.2)."""
    target = event.target.decode("latin-1")
    if not target.startswith("/"):
        with suppress(ValueError):
            target = urlsplit(target).path or "/"
    return Request(event.method.decode("latin-1"), target.partition("?")[0], dict(event.headers))
