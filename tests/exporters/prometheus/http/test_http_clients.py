"""Slow, silent, endless and hostile clients, and the shutdown of the server."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporters.prometheus import exporter as exporter_module
from exporters.prometheus.http import connection, connection_table
from exporters.prometheus.http.state import SECONDS, ConnectionState
from tests.exporters.prometheus.http_client import GET, ask, large, port, raw, value

if TYPE_CHECKING:
    from collections.abc import Callable

    from collectors.model import Report
    from exporters.prometheus.exporter import Exporter

    Serve = Callable[..., Exporter]


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


def test_readers_that_never_read_are_evicted(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECONDS, ConnectionState.WRITING, 0.2)
    report = large(60_000)
    exporter = serve(lambda: [report])
    with socket.create_connection(("127.0.0.1", port(exporter)), timeout=10) as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(GET)
        while not exporter._server.stats.evicted["deadline"]:
            time.sleep(0.01)


def test_unsent_bytes_of_all_slow_readers_are_limited(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_table, "MAX_UNSENT", 6 << 20)
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


def test_a_request_that_takes_too_long_is_evicted(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
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
    while list(exporter._server._connections) and time.monotonic() < deadline:
        time.sleep(0.01)
    before = time.clock_gettime(clock)
    assert exporter._server._timeout() is None
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
