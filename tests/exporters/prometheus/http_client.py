"""HTTP client of the exporter: whole requests, and raw bytes."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING

from collectors.model import Family, Kind, Metric, Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporters.prometheus.exporter import Exporter

    Serve = Callable[..., Exporter]


GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def port(exporter: Exporter) -> int:
    return int(exporter.addresses[0].rpartition(":")[2])


def ask(exporter: Exporter, method: str, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", port(exporter), timeout=10)
    client.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = client.getresponse()
    body = response.read()
    client.close()
    return response, body


def raw(exporter: Exporter, request: bytes, *, finish: bool = False) -> bytes:
    """Send bytes and read until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port(exporter)), timeout=10) as sock:
        sock.sendall(request)
        if finish:
            sock.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := sock.recv(1 << 16):
            answer += chunk
        return answer


def value(body: bytes, name: str) -> float:
    return next(float(line.rpartition(b" ")[2]) for line in body.splitlines() if line.startswith(name.encode()))


def large(series: int) -> Report:
    big = Family("big", Kind.COUNTER, "Big.", ("source",))
    return Report("big", 1.0, (), tuple(Metric(big, number, (f"{number:080}",)) for number in range(series)))
