"""Targets of the HTTP server, its web config, the exposition, and `vitald status`."""

from __future__ import annotations

import argparse
import io
import json
import math
import sys
from pathlib import Path
from unittest import mock

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from collectors.cardinality import Dropped
from collectors.model import BadInput, Family, Kind, Metric, Report
from daemon.cli import status
from exporters.prometheus.access import Client, is_loopback, may_see_findings
from exporters.prometheus.exposition.exposition import Exposition
from exporters.prometheus.exposition.negotiation import accepts_gzip, negotiate_format
from exporters.prometheus.http.framing import Framing
from exporters.prometheus.http.listen import check_address
from exporters.prometheus.http.state import ConnectionClosed
from exporters.prometheus.routes import Request, Response, plain
from exporters.prometheus.web_config.auth import parse_authorization
from exporters.prometheus.web_config.config import read_web_config
from tests.fuzz.target import PART, Target, divide, put, text

_WEB = "exporters.prometheus."
_GAUGE = Family("fuzz_bytes", Kind.GAUGE, "Fuzz.", ("a", "b"))


def _served(pieces: list[bytes]) -> list[tuple[object, ...]]:
    """Return what the server does with a connection's bytes: its requests and its statuses."""
    seen: list[tuple[object, ...]] = []
    framing = Framing()
    try:
        for piece in [*pieces, b""]:
            received = framing.receive(piece)
            while received is not None:
                if isinstance(received, Response):
                    seen.append((received.status,))
                    framing.frame(received, ())
                    return seen
                seen.append((received.method, received.path, tuple(sorted(received.headers.items()))))
                answer = framing.frame(plain(200, "x"), (("X-A", "b"),))
                assert answer.startswith(b"HTTP/1.1 200 ")
                if framing.linger:
                    return seen
                framing.next_cycle()
                received = framing.receive(None) if framing.has_pipelined_data else None
    except ConnectionClosed:
        pass
    return seen


def _http(data: bytes) -> None:
    """The same bytes are the same requests, however the network divides them."""
    whole = _served([data] if data else [])
    size = 1 + data[0] % 7 if data else 1
    if len(data) < 16 << 10:  # the limit of a head applies to what has come of it
        assert _served([data[at : at + size] for at in range(0, len(data), size)]) == whole
    for entry in whole:
        if len(entry) > 1:
            assert "?" not in str(entry[1])


def _negotiation(data: bytes) -> None:
    header = data.decode("latin-1")
    form = negotiate_format(header)
    assert form.content_type.startswith(("text/plain", "application/openmetrics-text"))
    assert accepts_gzip(header) in {True, False}
    Request("GET", "/", {b"accept": data}).header(b"accept")


def _authorization(data: bytes) -> None:
    found = parse_authorization(data)
    assert found is None or (b":" not in found.user and len(found.password) <= 72)


def _access(data: bytes) -> None:
    """A Host header decides for a client on loopback only."""
    host, name = divide(data, 2)
    headers = {b"host": host, name: b"x"}
    assert not may_see_findings("local", Client("192.0.2.1"), headers)
    assert not may_see_findings("authenticated", Client("127.0.0.1"), headers)
    may_see_findings("local", Client("127.0.0.1"), headers)
    is_loopback(text(host))


def _web_config(data: bytes) -> None:
    read_web_config(put("web.yml", data))


def _listen(data: bytes) -> None:
    check_address(text(data))


def _exposition(data: bytes) -> None:
    """Any text is a label's value, and prometheus_client's parsers read back what was rendered."""
    first, second = (part.decode("utf-8", "surrogateescape") for part in divide(data, 2))
    report = Report("fuzz", 0.0, (), (Metric(_GAUGE, 1.0, (first, second)), Metric(_GAUGE, math.inf, (second, first))))
    for accept, parse in (("application/openmetrics-text;version=1.0.0", openmetrics), ("text/plain", plain_text)):
        body = Exposition(Dropped()).render([report], negotiate_format(accept))
        samples = [sample for family in parse(body.decode()) for sample in family.samples]
        assert len(samples) == 1 + (first != second)
        assert all(value.isprintable() for sample in samples for value in sample.labels.values())


def _status(data: bytes) -> None:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    arguments = argparse.Namespace(socket=Path("/x"), format="json" if len(data) % 2 else "table")
    with mock.patch.object(status, "fetch", lambda _path: document), mock.patch.object(sys, "stdout", io.StringIO()), \
         mock.patch.object(sys, "stderr", io.StringIO()):  # fmt: skip
        status.run(arguments)


_YAML = (
    b"tls_server_config:\n  cert_file: a.crt\n  key_file: a.key\n  client_auth_type: RequireAndVerifyClientCert\n  min_version: TLS13\n",
    b"basic_auth_users:\n  admin: $2y$10$" + b"a" * 53 + b"\n",
    b"http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    Content-Security-Policy: default-src 'self'\n",
    b"tls_server_config: {cert: '-----BEGIN', key: '-----BEGIN', client_ca: x}\n",
    b"a: &a [x]\nb: *a\nc: {a: 1, a: 2}\n? [1]\n: 2\n",
)

TARGETS = (
    Target("web.http", (_WEB + "http.framing",), _http, lambda: [
        b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n" * 2, b"HEAD / HTTP/1.0\r\n\r\n", b"GET http://h/-/ready HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabcGET", b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n", b"\x16\x03\x01", b"GET / HTTP/1.2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ], most=1 << 17, seconds=5.0, words=(b"\r\n", b"HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked", b"Content-Length: 0", b"Connection: close", b"Expect: 100-continue")),
    Target("web.negotiation", (_WEB + "exposition.negotiation", _WEB + "routes"), _negotiation, lambda: [
        b"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1", b"gzip;q=0, *;q=1", b"text/plain;version=1.0.0;escaping=allow-utf-8",
    ], most=1 << 14, seconds=0.05),
    Target("web.authorization", (_WEB + "web_config.auth",), _authorization, lambda: [b"Basic YWRtaW46c2VjcmV0", b"basic  YTo=", b"Bearer x"], most=1 << 14, seconds=0.05),
    Target("web.access", (_WEB + "access",), _access, lambda: [
        b"localhost:19100" + PART + b"accept", b"[::1]:19100" + PART + b"x-forwarded-for", b"127.0.0.1", b"::ffff:127.0.0.1", b"evil.example:1", b"[::1",
    ], most=1 << 14, seconds=0.05),
    Target("web.web_config", (_WEB + "web_config.config", _WEB + "web_config.file"), _web_config, lambda: _YAML, allowed=(BadInput,), most=1 << 16, seconds=1.0,
           words=(b"tls_server_config:\n", b"  cert_file: ", b"basic_auth_users:\n", b"&a ", b"*a", b"!!python/name:", b"<<: ", b"? ", b"%YAML 1.1\n")),
    Target("web.listen", (_WEB + "http.listen",), _listen, lambda: [b"127.0.0.1:19100", b"[::1]:19100", b":19100", b"localhost:0"], allowed=(BadInput,), length=64, most=512),
    Target("web.exposition", (_WEB + "exposition.labels", _WEB + "exposition.families"), _exposition, lambda: [
        b"eth0" + PART + b"x", b'a"b\\c\n' + PART + b"\xff\xfe", "\u2028é".encode() + b"y" * 300, b'a\\" # {} ' + PART,
    ]),
    Target("web.status", ("daemon.cli.status",), _status, lambda: [
        json.dumps({"exit": 1, "findings": [{"check": "a", "subject": "b", "level": "warning", "message": "m", "evidence": {"x": [1, {"y": None}]}, "remediation": "r", "since": "s"}],
                    "collectors": [], "version": "1"}).encode(), b"{}",
    ]),
)  # fmt: skip
