"""The HTTP side over real sockets: paths, methods, framing, and clients that behave badly."""

from __future__ import annotations

import gzip
import http.client
import logging
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.cardinality import Dropped
from collectors.model import Family, Kind, Metric, Report
from exporters.prometheus import connection, crowd
from exporters.prometheus import exporter as exporter_module
from exporters.prometheus.state import SECONDS, State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
    """Send bytes and read until the server hangs up."""
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


def test_metrics_are_served_as_text_and_as_openmetrics(serve: Serve) -> None:
    exporter = serve()
    response, body = ask(exporter, "GET", "/metrics")
    assert (response.status, response.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b'vitald_log_lines_total{source="kmsg"} 7.0\n' in body
    response, body = ask(exporter, "GET", "/metrics?a=b", Accept="application/openmetrics-text")
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")


@pytest.mark.fault(56)
@pytest.mark.needs("promtool")
def test_what_the_exporter_says_of_itself_is_clean(serve: Serve, tmp_path: Path) -> None:
    dropped = Dropped()
    dropped.add(Family("log_lines", Kind.COUNTER, "Lines.", ("source",)))
    (tmp_path / "web.yml").touch()
    body = ask(serve(dropped=dropped, web_config=tmp_path / "web.yml"), "GET", "/metrics")[1]
    assert b"vitald_web_config_last_reload_successful 1.0" in body
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


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
def test_other_methods_are_refused_with_those_that_are_not(serve: Serve, method: str) -> None:
    response, _ = ask(serve(), method, "/metrics")
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", b"400"),  # no Host
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


def test_a_client_that_said_all_it_wants_still_gets_its_answer(serve: Serve) -> None:
    assert b"200 OK" in raw(serve(), GET, finish=True)


def test_bodies_are_read_away_and_expectations_answered_at_once(serve: Serve) -> None:
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


def test_ipv6_and_several_addresses(serve: Serve) -> None:
    exporter = serve(addresses=["127.0.0.1:0", "[::1]:0", ":0", "localhost:0"])
    assert [address.rpartition(":")[0] for address in exporter.addresses] == ["127.0.0.1", "[::1]", "[::]", "127.0.0.1"]
    for host, address in (("127.0.0.1", 0), ("::1", 1), ("127.0.0.1", 2), ("::1", 2)):
        client = http.client.HTTPConnection(host, int(exporter.addresses[address].rpartition(":")[2]), timeout=10)
        client.request("GET", "/-/healthy")
        assert client.getresponse().status == 200
        client.close()


@pytest.mark.fault(1)
def test_what_fails_while_rendering_is_a_500_and_not_the_end(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    broken = [True]

    def reports() -> list[Report]:
        if broken:
            raise RuntimeError(broken.pop())
        return []

    exporter = serve(reports)
    with caplog.at_level(logging.ERROR):
        assert ask(exporter, "GET", "/metrics")[0].status == 500
    assert [record.getMessage() for record in caplog.records] == ["could not answer /metrics"]
    response, body = ask(exporter, "GET", "/metrics")
    assert response.status == 200
    assert value(body, 'vitald_http_requests_total{code="500"}') == 1


def test_what_the_runner_folded_and_what_could_not_be_exported_is_one_family(serve: Serve) -> None:
    dropped = Dropped()
    lines = Family("log_lines", Kind.COUNTER, "Lines.", ("source",))
    dropped.add(lines, 5)
    exporter = serve(lambda: [Report("x", 1.0, (), (Metric(lines, 1, ("a\n",)), Metric(lines, 1, ("a\\x0a",))))], dropped=dropped)
    ask(exporter, "GET", "/metrics")
    body = ask(exporter, "GET", "/metrics")[1]
    assert value(body, 'vitald_series_dropped_total{metric="vitald_log_lines_total"}') >= 6


def test_a_slow_reader_of_a_large_scrape_gets_all_of_it(serve: Serve) -> None:
    report = large(60_000)
    exporter = serve(lambda: [report])
    with socket.create_connection(("127.0.0.1", port(exporter)), timeout=10) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        slow.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        started = time.monotonic()
        assert ask(exporter, "GET", "/-/healthy")[0].status == 200
        assert time.monotonic() - started < 5
        received = b""
        while chunk := slow.recv(1 << 16):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body.count(b"vitald_big_total{") == 60_000


def test_readers_that_never_read_are_thrown_out(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECONDS, State.WRITING, 0.2)
    report = large(60_000)
    exporter = serve(lambda: [report])
    with socket.create_connection(("127.0.0.1", port(exporter)), timeout=10) as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(GET)
        while not exporter._server.traffic.evicted["deadline"]:
            time.sleep(0.01)


def test_what_slow_readers_hold_together_is_bounded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "UNSENT", 6 << 20)
    report = large(60_000)
    exporter = serve(lambda: [report])
    clients = []
    for _ in range(8):
        client = socket.create_connection(("127.0.0.1", port(exporter)), timeout=10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(GET)
        clients.append(client)
    body = ask(exporter, "GET", "/metrics")[1]
    assert value(body, 'vitald_http_connections_evicted_total{reason="memory"}') >= 2
    for client in clients:
        client.close()


def large(series: int) -> Report:
    big = Family("big", Kind.COUNTER, "Big.", ("source",))
    return Report("big", 1.0, (), tuple(Metric(big, number, (f"{number:080}",)) for number in range(series)))


def test_a_request_that_takes_too_long_is_thrown_out(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.3)
    exporter = serve()
    with socket.create_connection(("127.0.0.1", port(exporter)), timeout=10) as dripping:
        started = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT011, PT012 — broken pipe or reset, as the kernel likes
            for _ in range(1000):
                dripping.sendall(b"G")  # each byte on time, the request never whole
                time.sleep(0.02)
        assert time.monotonic() - started < 5


@pytest.mark.fault(32)
def test_close_waits_for_no_client(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that waited for one of them would still be there when close() has waited for it."""
    monkeypatch.setattr(exporter_module, "_STOP_SECONDS", 60.0)
    report = large(60_000)
    exporter = serve(lambda: [report])
    clients = [socket.create_connection(("127.0.0.1", port(exporter))) for _ in range(9)]
    for client, request in zip(clients, (b"", GET, GET[:9]) * 3, strict=True):
        client.sendall(request)
    exporter.close()
    assert not exporter._thread.is_alive()
    exporter.close()
    for client in clients:
        client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port(exporter)))


@pytest.mark.fault(32)
def test_close_waits_a_second_for_an_answer_and_no_longer(serve: Serve) -> None:
    asked, over = threading.Event(), threading.Event()

    def reports() -> list[Report]:
        asked.set()
        over.wait(60)
        return []

    exporter = serve(reports)
    with socket.create_connection(("127.0.0.1", port(exporter))) as client:
        client.sendall(GET)
        assert asked.wait(30)
        exporter.close()
        assert exporter._thread.is_alive(), "the answer is still out, and close() has come back"
        assert exporter_module._STOP_SECONDS <= 1  # what it waited; how long that took is the machine's
        over.set()
    exporter._thread.join(30)
    exporter.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port(exporter)))


def test_without_clients_the_server_sleeps(serve: Serve) -> None:
    exporter = serve()
    ask(exporter, "GET", "/metrics")
    clock = time.pthread_getcpuclockid(exporter._thread.ident or 0)
    deadline = time.monotonic() + 5
    while list(exporter._server._crowd) and time.monotonic() < deadline:
        time.sleep(0.01)
    before = time.clock_gettime(clock)
    assert exporter._server._patience() is None
    time.sleep(0.3)
    assert time.clock_gettime(clock) - before < 0.003


PIECES = [
    b"GET ",
    b"HEAD ",
    b"/metrics",
    b" HTTP/1.1\r\n",
    b"Host: x\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
]


@pytest.mark.fault(55)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    request_bytes=st.binary(max_size=300)
    | st.lists(st.sampled_from([*PIECES, b"0\r\n", b"\xff", b": "]) | st.binary(max_size=9)).map(b"".join)
)
def test_no_bytes_end_the_server(fuzzed: Exporter, request_bytes: bytes, caplog: pytest.LogCaptureFixture) -> None:
    try:
        answer = raw(fuzzed, request_bytes, finish=True)
    except ConnectionError:
        answer = b""
    assert answer[:9] in (b"", b"HTTP/1.1 ")
    assert ask(fuzzed, "GET", "/-/healthy")[0].status == 200
    assert not caplog.records


@pytest.fixture
def fuzzed(serve: Serve) -> Exporter:
    return serve()
