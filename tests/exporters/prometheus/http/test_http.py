"""HTTP over real sockets: paths, methods, framing, and invalid requests."""

from __future__ import annotations

import gzip
import http.client
import logging
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from collectors.cardinality import Dropped
from collectors.model import Family, Kind, Metric, Report
from tests.exporters.prometheus.http_client import GET, ask, port, raw, value

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exporters.prometheus.exporter import Exporter

    Serve = Callable[..., Exporter]


def test_metrics_are_served_as_text_and_as_openmetrics(serve: Serve) -> None:
    exporter = serve()
    response, body = ask(exporter, "GET", "/metrics")
    assert (response.status, response.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b'vitald_log_lines_total{source="kmsg"} 7.0\n' in body
    response, body = ask(exporter, "GET", "/metrics?a=b", Accept="application/openmetrics-text")
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")


def test_no_response_may_be_stored_by_a_cache(serve: Serve) -> None:
    exporter = serve()
    for path in ("/metrics", "/", "/-/healthy", "/-/ready", "/none"):
        for method in ("GET", "HEAD", "POST"):
            response, _ = ask(exporter, method, path)
            assert response.headers.get_all("Cache-Control") == ["no-store"], (method, path)
    for invalid in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"):
        assert b"\r\nCache-Control: no-store\r\n" in raw(exporter, invalid, finish=True), invalid


@pytest.mark.fault(56)
@pytest.mark.needs("promtool")
def test_the_exporters_own_metrics_are_valid(serve: Serve, tmp_path: Path) -> None:
    dropped = Dropped()
    dropped.add(Family("log_lines", Kind.COUNTER, "Lines.", ("source",)))
    (tmp_path / "web.yml").touch()
    body = ask(serve(dropped=dropped, web_config=tmp_path / "web.yml"), "GET", "/metrics")[1]
    assert b"vitald_web_config_last_reload_successful 1.0" in body
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_process_metrics_have_their_standard_names(serve: Serve) -> None:
    exporter = serve()
    for accept in ("", "application/openmetrics-text"):
        body = ask(exporter, "GET", "/metrics", Accept=accept)[1]
        assert value(body, "process_resident_memory_bytes") > 1e7
        assert value(body, "process_cpu_seconds_total") > 0
        assert value(body, "process_open_fds") < value(body, "process_max_fds")


def test_gzip_is_used_where_it_is_accepted(serve: Serve) -> None:
    response, body = ask(serve(), "GET", "/metrics", Accept_Encoding="gzip")
    assert response.headers["Content-Encoding"] == "gzip"
    assert b"vitald_log_lines_total" in gzip.decompress(body)


def test_the_paths_beside_metrics(serve: Serve) -> None:
    ready = threading.Event()
    exporter = serve(ready=ready.is_set, telemetry_path="/m")
    assert ask(exporter, "GET", "/-/healthy")[0].status == 200
    response, body = ask(exporter, "GET", "/-/ready")
    assert (response.status, body[:9]) == (503, b"Not ready")
    ready.set()
    assert ask(exporter, "GET", "/-/ready")[0].status == 200
    response, body = ask(exporter, "GET", "/")
    assert response.status == 200
    assert b"vitald 1.2.3" in body
    assert b'href="/m"' in body
    assert ask(exporter, "GET", "/m")[0].status == 200
    assert ask(exporter, "GET", "/metrics")[0].status == 404


def test_head_is_a_get_without_its_body(serve: Serve) -> None:
    exporter = serve()
    for path in ("/", "/-/healthy", "/nowhere"):
        response, body = ask(exporter, "HEAD", path)
        assert (body, response.headers["Content-Length"]) == (b"", str(len(ask(exporter, "GET", path)[1])))
    assert int(ask(exporter, "HEAD", "/metrics")[0].headers["Content-Length"]) > 500


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"])
def test_other_methods_get_a_405_with_the_allowed_ones(serve: Serve, method: str) -> None:
    response, _ = ask(serve(), method, "/metrics")
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", b"400"),  # no Host
        (b"GET /metrics HTTP/1.2\r\n\r\n", b"400"),  # no Host, either
        (b"GET /metrics HTTP/1.10\r\nHost: x\r\n\r\n", b"400"),  # no version: each of its numbers has one digit
        (b"GET /metrics HTTP/11\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n", b"505"),
        (b"HEAD /metrics HTTP/2.0\r\n\r\n", b"505"),
        (b"POST /metrics HTTP/0.9\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", b"505"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 400_000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"a" * 300_000, b"413"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),  # TLS to a plain port
    ],
)
def test_a_bad_request_gets_its_answer_and_the_connection_ends(serve: Serve, request_bytes: bytes, status: bytes) -> None:
    answer = raw(serve(), request_bytes)
    assert answer.split(b" ")[1] == status
    assert b"\r\nConnection: close\r\n" in answer


def test_a_higher_minor_version_is_taken_as_1_1(serve: Serve) -> None:
    again = b"GET /-/healthy HTTP/1.9\r\nHost: x\r\n\r\n"
    answer = raw(serve(), again + again + b"GET /-/healthy HTTP/1.2\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3


def test_one_connection_serves_many_requests(serve: Serve) -> None:
    exporter = serve()
    client = http.client.HTTPConnection("127.0.0.1", port(exporter), timeout=10)
    for _ in range(5):
        client.request("GET", "/metrics")
        body = client.getresponse().read()
    assert value(body, 'vitald_http_requests_total{code="200"}') == 4
    assert value(body, "vitald_http_connections ") == 1
    client.close()


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    last = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = raw(serve(), b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n" * 50 + b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 51
    assert answer.rindex(b"404 Not Found") > answer.rindex(b"200 OK")


def test_http_1_0_and_connection_close_end_the_connection(serve: Serve) -> None:
    exporter = serve()
    assert b"200 OK" in raw(exporter, b"GET /metrics HTTP/1.0\r\n\r\n")
    assert b"200 OK" in raw(exporter, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


def test_a_half_closed_client_still_gets_its_response(serve: Serve) -> None:
    assert b"200 OK" in raw(serve(), GET, finish=True)


def test_bodies_are_discarded_and_expectations_answered_at_once(serve: Serve) -> None:
    exporter = serve()
    post = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    assert raw(exporter, post + b"GET / HTTP/1.0\r\n\r\n").count(b"200 OK") == 2
    expecting = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
    answer = raw(exporter, expecting)
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"100 Continue" not in answer


def test_a_request_may_name_a_whole_url(serve: Serve) -> None:
    exporter = serve()
    assert b"200 OK" in raw(exporter, b"GET http://h:1/metrics?x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert b"404 " in raw(exporter, b"GET http://[/metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")


def test_requests_that_come_byte_by_byte_are_answered(serve: Serve) -> None:
    exporter = serve()
    with socket.create_connection(("127.0.0.1", port(exporter)), timeout=10) as sock:
        for byte in GET:
            sock.sendall(bytes([byte]))
        assert sock.recv(12) == b"HTTP/1.1 200"


@pytest.mark.fault(1)
def test_a_failure_while_rendering_is_a_500_and_the_server_goes_on(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    broken = [True]

    def reports() -> list[Report]:
        if broken:
            raise RuntimeError(broken.pop())
        return []

    exporter = serve(reports)
    with caplog.at_level(logging.ERROR):
        assert ask(exporter, "GET", "/metrics")[0].status == 500
    assert [record.getMessage() for record in caplog.records] == ["request failed path=/metrics"]
    response, body = ask(exporter, "GET", "/metrics")
    assert response.status == 200
    assert value(body, 'vitald_http_requests_total{code="500"}') == 1


def test_series_dropped_by_the_runner_and_by_the_exporter_are_one_family(serve: Serve) -> None:
    dropped = Dropped()
    lines = Family("log_lines", Kind.COUNTER, "Lines.", ("source",))
    dropped.add(lines, 5)
    exporter = serve(lambda: [Report("x", 1.0, (), (Metric(lines, 1, ("a\n",)), Metric(lines, 1, ("a\\n",))))], dropped=dropped)
    ask(exporter, "GET", "/metrics")
    body = ask(exporter, "GET", "/metrics")[1]
    assert value(body, 'vitald_series_dropped_total{metric="vitald_log_lines_total"}') >= 6
