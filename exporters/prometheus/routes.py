"""Routes: what each path returns. A page reads the callables it was given and nothing else: no client can start work."""

from __future__ import annotations

import gzip
import importlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import PROCESS_COLLECTOR

from exporters.prometheus.access import LOCAL, Client, may_see_findings
from exporters.prometheus.exposition.negotiation import accepts_gzip, negotiate_format

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from collectors.model import Report
    from exporters.prometheus.exposition.exposition import Exposition
    from exporters.prometheus.status_page.page import Status

_log = logging.getLogger(__name__)
_TEXT = ("Content-Type", "text/plain; charset=utf-8")
_GZIP_LEVEL = 1  # of 50 KB it takes 0.05 ms and leaves 2.3 KB; level 9 takes ten times as long and leaves 1.8 KB
_JSON = (("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"), ("Cross-Origin-Resource-Policy", "same-origin"))
METHODS = ("GET", "HEAD")


class Request(NamedTuple):
    """A client's request; header names are in lower case, and the last one of a name counts."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    client: Client = Client()

    def header(self, name: bytes) -> str:
        """Return a header's value as text, empty if there is none."""
        return self.headers.get(name, b"").decode("latin-1")


class Response(NamedTuple):
    """The response to a request; the connection adds the framing."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def plain(status: int, text: str, *headers: tuple[str, str]) -> Response:
    """Return a response of one line of text."""
    return Response(status, (_TEXT, *headers), text.encode() + b"\n")


@dataclass(frozen=True)
class Routes:
    """The paths of this server. Used by one thread."""

    reports: Callable[[], Sequence[Report]]
    exposition: Exposition
    telemetry_path: str
    status: Callable[[], Status]
    ready: Callable[[], bool]
    document: Callable[[], Mapping[str, Any]] = dict
    counts: Callable[[], Mapping[str, int]] = dict
    access: str = LOCAL

    def respond(self, request: Request) -> Response:
        """Return the response to one request. A failure is logged and becomes a 500."""
        if request.method not in METHODS:
            return plain(405, "Method not allowed; expected GET or HEAD.", ("Allow", ", ".join(METHODS)))
        try:
            return self._route(request)
        except Exception as error:  # noqa: BLE001 — whatever it was, the next request is answered
            _log.exception("request failed path=%s", request.path)
            if isinstance(error, ImportError):  # a folder that could not be listed counts as empty until then (FileFinder)
                importlib.invalidate_caches()
            return plain(500, "Internal error; see the log of vitald.")

    def _route(self, request: Request) -> Response:
        if request.path == self.telemetry_path:
            return self._metrics(request)
        if request.path == "/":
            return self._status_page(request)
        if request.path == "/-/status":
            return self._status_document(request)
        if request.path == "/-/ready":
            return plain(200, "Ready.") if self.ready() else plain(503, "Not ready: not every collector has been started.")
        if request.path == "/-/healthy":
            return plain(200, "Healthy.")
        return plain(404, "Not found; / has links to all pages.")

    def _metrics(self, request: Request) -> Response:
        form = negotiate_format(request.header(b"accept"))
        body = self.exposition.render(self.reports(), form, (PROCESS_COLLECTOR,))  # it reads /proc/self, which cannot block
        return _compressed(request, (("Content-Type", form.content_type), ("Vary", "Accept, Accept-Encoding")), body)

    def _status_document(self, request: Request) -> Response:
        if self._is_public(request):
            reason = "findings in full: only on loopback, on the local socket (vitald status), or with a password or client certificate"
            document: Mapping[str, Any] = {"restricted": reason, "levels": self.counts()}
            return Response(403, _JSON, json.dumps(document).encode())
        body = json.dumps(self.document(), ensure_ascii=True, default=str).encode()  # msgspec would refuse lone surrogates
        return _compressed(request, (*_JSON, ("Vary", "Accept-Encoding")), body)

    def _is_public(self, request: Request) -> bool:
        return not may_see_findings(self.access, request.client, request.headers)

    def _status_page(self, request: Request) -> Response:
        from exporters.prometheus.status_page import page  # noqa: PLC0415 — not imported before the first request for it

        if self._is_public(request):
            return Response(200, page.HEADERS, page.render_counts(self.counts(), self.telemetry_path))
        return _compressed(request, (*page.HEADERS, ("Vary", "Accept-Encoding")), page.render(self.status(), self.telemetry_path))


def _compressed(request: Request, headers: tuple[tuple[str, str], ...], body: bytes) -> Response:
    if not accepts_gzip(request.header(b"accept-encoding")):
        return Response(200, headers, body)
    return Response(200, (*headers, ("Content-Encoding", "gzip")), gzip.compress(body, _GZIP_LEVEL, mtime=0))
