"""What each path answers. A page reads the callables it was given and nothing else: no client can start work."""

from __future__ import annotations

import gzip
import html
import logging
from typing import TYPE_CHECKING, NamedTuple

from exporters.prometheus.negotiate import exposition, gzip_accepted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from collectors.model import Report
    from exporters.prometheus.exposition import Exposition

_log = logging.getLogger(__name__)
_TEXT = ("Content-Type", "text/plain; charset=utf-8")
_HTML = ("Content-Type", "text/html; charset=utf-8")
_GZIP_LEVEL = 1  # of 50 KB it takes 0.05 ms and leaves 2.3 KB; level 9 takes ten times as long and leaves 1.8 KB
METHODS = ("GET", "HEAD")

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>vitald</title></head>
<body>
<h1>vitald {version}</h1>
<ul>
<li><a href="{metrics}">Metrics</a></li>
<li><a href="/-/healthy">Healthy</a></li>
<li><a href="/-/ready">Ready</a></li>
</ul>
</body>
</html>
"""


class Request(NamedTuple):
    """What a client asks for; header names are in lower case, and the last one of a name counts."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]

    def header(self, name: bytes) -> str:
        """Give a header's value as text, empty where there is none."""
        return self.headers.get(name, b"").decode("latin-1")


class Response(NamedTuple):
    """What it gets; the connection adds the framing."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def plain(status: int, text: str, *headers: tuple[str, str]) -> Response:
    """Make a response of one line of text."""
    return Response(status, (_TEXT, *headers), text.encode() + b"\n")


class Pages:
    """The paths of this server. Used by one thread."""

    def __init__(self, *, telemetry_path: str, version: str, ready: Callable[[], bool], exposition: Exposition) -> None:
        self._ready = ready
        self._exposition = exposition
        landing = PAGE.format(version=html.escape(version), metrics=html.escape(telemetry_path)).encode()
        self._landing = Response(200, (_HTML,), landing)
        self._telemetry_path = telemetry_path

    def answer(self, request: Request, reports: Callable[[], Sequence[Report]]) -> Response:
        """Answer one request. What goes wrong is logged and becomes a 500."""
        if request.method not in METHODS:
            return plain(405, "Only GET and HEAD are answered here.", ("Allow", ", ".join(METHODS)))
        try:
            if request.path == self._telemetry_path:
                return self._metrics(request, reports())
            if request.path == "/-/ready":
                return plain(200, "Ready.") if self._ready() else plain(503, "Not ready: not every collector has been started.")
        except Exception:  # noqa: BLE001 — whatever it was, the next request is answered
            _log.exception("could not answer %s", request.path)
            return plain(500, "vitald could not answer; its log says why.")
        if request.path == "/-/healthy":
            return plain(200, "Healthy.")
        return self._landing if request.path == "/" else plain(404, "Not found; / lists what there is.")

    def _metrics(self, request: Request, reports: Sequence[Report]) -> Response:
        form = exposition(request.header(b"accept"))
        body = self._exposition.render(reports, form)
        headers = (("Content-Type", form.content_type), ("Vary", "Accept, Accept-Encoding"))
        if not gzip_accepted(request.header(b"accept-encoding")):
            return Response(200, headers, body)
        return Response(200, (*headers, ("Content-Encoding", "gzip")), gzip.compress(body, _GZIP_LEVEL, mtime=0))
