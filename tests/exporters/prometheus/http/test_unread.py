"""Clients that ask and never read, read slowly, or only send: the memory for them, and who still gets a response."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from exporters.prometheus.http import connection, connection_table
from exporters.prometheus.http.connection_table import MAX_CONNECTIONS
from exporters.prometheus.http.state import SECONDS, ConnectionState
from tests.exporters.prometheus.http_client import GET, ask, large, port, value

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exporters.prometheus.exporter import Exporter

    Serve = Callable[..., Exporter]

HEALTHY = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
GET_1_0 = b"GET /metrics HTTP/1.0\r\n\r\n"
LARGE = large(20_000)  # 2.3 MB of text
SMALL = large(150)  # 20 KB: less than a send buffer
# SO_SNDBUF and SO_RCVBUF doubled by the kernel, which lets each queue exceed its limit by the last buffer of at most 64 KiB
MAX_KERNEL_BYTES = 2 * (32 << 10) + 2 * (16 << 10) + 2 * (64 << 10)

pytestmark = pytest.mark.usefixtures("many_descriptors")


def kernel_memory(exporter: Exporter) -> list[int]:
    """Return the bytes in the queues of each socket of the server, also of those that no process holds any more."""
    command = ["ss", "--tcp", "--memory", "--numeric", "--all", "--oneline", "--no-header", f"sport = :{port(exporter)}"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [re.search(r"skmem:\(r(\d+),rb\d+,t\d+,tb\d+,f(\d+),w(\d+)", line) for line in lines if not line.startswith("LISTEN")]
    return [sum(map(int, match.groups())) for match in found if match]


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stuck_client(exporter: Exporter, sent: bytes, window: int = 4096) -> socket.socket:
    """Connect with a small receive buffer, send as much as the server takes at once, and read nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port(exporter)))
    sock.setblocking(False)  # noqa: FBT003
    with suppress(BlockingIOError, ConnectionError):
        while sent:
            sent = sent[sock.send(sent) :]
    return sock


def read_all(sock: socket.socket, pause: float = 0.0) -> None:
    while sock.recv(4096):
        time.sleep(pause)


@pytest.mark.fault(161)
@pytest.mark.parametrize(
    ("report", "sent"),
    [
        (LARGE, GET),
        (SMALL, GET * 500),
        (SMALL, GET_1_0),
        (SMALL, HEALTHY * 5000),
        (SMALL, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + b"a" * 60_000 + GET * 5000),
        (SMALL, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1_000_000),
    ],
    ids=["large", "pipelined", "closing", "small and pipelined", "sends on", "sends a body"],
)
def test_the_kernels_memory_for_clients_that_do_not_read_is_limited(serve: Serve, report: object, sent: bytes) -> None:
    exporter = serve(lambda: [report])
    with ExitStack() as clients:
        for number in range(3 * MAX_CONNECTIONS):
            clients.enter_context(stuck_client(exporter, sent))
            if number % 64 == 0:
                assert sum(kernel_memory(exporter)) < MAX_CONNECTIONS * MAX_KERNEL_BYTES
        body = ask(exporter, "GET", "/metrics")[1]
        assert value(body, "vitald_http_connections ") <= MAX_CONNECTIONS
        sockets = kernel_memory(exporter)
        assert max(sockets, default=0) < MAX_KERNEL_BYTES
        assert sum(sockets) < 16 << 20
        assert len([size for size in sockets if size]) <= MAX_CONNECTIONS, "no data is left of connections that were closed"


@pytest.mark.fault(161)
def test_the_kernels_memory_for_clients_of_tls_that_do_not_read_is_limited(serve: Serve, web: Callable[[str], Path]) -> None:
    exporter = serve(lambda: [LARGE], web_config=web("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with ExitStack() as clients:
        for _ in range(40):
            client = clients.enter_context(context.wrap_socket(socket.create_connection(("127.0.0.1", port(exporter)), timeout=10)))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(GET)
        assert max(kernel_memory(exporter)) < MAX_KERNEL_BYTES
        assert len(kernel_memory(exporter)) <= 41


@pytest.mark.fault(161)
def test_the_kernels_memory_for_local_clients_that_do_not_read_is_limited(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "vitald.sock"
    exporter = serve(lambda: [LARGE], local_socket=path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(GET)
        until(lambda: any(len(connection.unsent) > 0 for connection in exporter._server._connections))
        (stuck,) = exporter._server._connections
        assert 0 < stuck._unacknowledged() < MAX_KERNEL_BYTES
        client.settimeout(10)
        received = 0
        while received < len(stuck.unsent):
            received += len(client.recv(1 << 16))


@pytest.mark.fault(161)
def test_a_rest_that_was_not_read_does_not_keep_the_whole_response(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reads all but 700 KB: what they leave is little, what is behind it must not be all of the response."""
    monkeypatch.setattr(connection_table, "MAX_UNSENT", 20 << 20)
    exporter = serve(lambda: [LARGE])
    size = len(ask(exporter, "GET", "/metrics")[1])
    with ExitStack() as clients:
        for _ in range(8):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port(exporter)), timeout=10))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            client.sendall(GET)
            received = 0
            while received < size - (700 << 10):
                received += len(client.recv(1 << 16))
        held = [stuck.unsent.obj for stuck in exporter._server._connections if stuck.state is ConnectionState.WRITING]
        assert len(held) == 8
        assert all(isinstance(memory, bytes) and len(memory) < 1500 << 10 for memory in held)
        assert sum(stuck.held_bytes for stuck in exporter._server._connections) == sum(
            len(memory) for memory in held if isinstance(memory, bytes)
        )


@pytest.mark.fault(161)
def test_the_next_request_is_not_answered_while_a_response_is_unread(serve: Serve) -> None:
    exporter = serve(lambda: [SMALL])
    stats = exporter._server.stats
    with stuck_client(exporter, GET * 50) as client:
        until(lambda: stats.requests[200] > 0)
        time.sleep(0.5)
        assert stats.requests[200] < 5
        client.setblocking(True)  # noqa: FBT003
        client.settimeout(10)
        received = b""
        while received.count(b"HTTP/1.1 200 OK") < 50:
            received += client.recv(1 << 16)
    assert stats.requests[200] == 50
    assert sum(stats.evicted.values()) == 0


@pytest.mark.fault(161)
@pytest.mark.parametrize("sent", [GET, GET * 9, GET_1_0], ids=["kept", "pipelined", "closing"])
def test_a_client_that_reads_nothing_is_reset_though_the_kernel_took_its_response(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setitem(SECONDS, ConnectionState.WRITING, 0.2)
    monkeypatch.setitem(SECONDS, ConnectionState.DELIVERING, 0.2)
    exporter = serve(lambda: [SMALL])
    with stuck_client(exporter, sent) as client:
        until(lambda: exporter._server.stats.evicted["deadline"] == 1)
        assert kernel_memory(exporter) == []
        client.setblocking(True)  # noqa: FBT003
        client.settimeout(10)
        with pytest.raises(ConnectionResetError):
            read_all(client)


@pytest.mark.fault(161)
@pytest.mark.parametrize(("report", "sent"), [(LARGE, GET), (SMALL, GET), (SMALL, GET_1_0), (LARGE, GET_1_0)])
def test_a_slow_reader_gets_all_of_it_however_long_it_takes(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, report: object, sent: bytes
) -> None:
    """Its time limit is over many times: what counts is that it reads."""
    monkeypatch.setitem(SECONDS, ConnectionState.WRITING, 0.5)
    monkeypatch.setitem(SECONDS, ConnectionState.DELIVERING, 0.5)
    exporter = serve(lambda: [report])
    piece = 1 << 18 if report is LARGE else 1 << 10
    with stuck_client(exporter, sent, 8192) as client:
        client.setblocking(True)  # noqa: FBT003
        client.settimeout(10)
        received, wanted = b"", 0
        while not wanted or len(received) < wanted:
            time.sleep(0.1)
            step = len(received) + piece
            while len(received) < step and (not wanted or len(received) < wanted):
                chunk = client.recv(min(piece, 4096))
                assert chunk
                received += chunk
                head, end, _ = received.partition(b"\r\n\r\n")
                if end and (length := re.search(rb"Content-Length: (\d+)", head)):
                    wanted = len(head) + 4 + int(length[1])
        if sent is GET_1_0:
            assert client.recv(1) == b""
    assert exporter._server.stats.evicted["deadline"] == 0


@pytest.mark.fault(161)
def test_a_client_that_takes_a_byte_now_and_then_is_closed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECONDS, ConnectionState.WRITING, 0.2)
    monkeypatch.setattr(connection, "MIN_RATE_GRACE", 0.5)
    monkeypatch.setattr(connection, "MIN_RATE", 1 << 20)
    exporter = serve(lambda: [LARGE])
    with stuck_client(exporter, GET) as client:
        client.setblocking(True)  # noqa: FBT003
        client.settimeout(10)
        with pytest.raises(ConnectionResetError):
            read_all(client, pause=0.02)
    assert exporter._server.stats.evicted["deadline"] == 1


@pytest.mark.fault(161)
def test_a_client_that_has_said_its_end_and_reads_slowly_gets_all_of_it(serve: Serve) -> None:
    exporter = serve(lambda: [SMALL])
    clock = time.pthread_getcpuclockid(exporter._thread.ident or 0)
    with stuck_client(exporter, GET, 2048) as client:
        client.shutdown(socket.SHUT_WR)
        client.setblocking(True)  # noqa: FBT003
        client.settimeout(10)
        received = client.recv(512)
        before = time.clock_gettime(clock)
        time.sleep(1)
        assert time.clock_gettime(clock) - before < 0.05, "the server waits, it does not ask again and again"
        while chunk := client.recv(512):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    until(lambda: not list(exporter._server._connections))


def test_an_idle_connection_that_was_answered_is_evicted_before_one_that_is_answered_now(serve: Serve) -> None:
    exporter = serve(lambda: [SMALL])
    with ExitStack() as clients:
        slow = clients.enter_context(stuck_client(exporter, GET))
        until(lambda: exporter._server.stats.requests[200] == 1)
        for number in range(2 * MAX_CONNECTIONS):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port(exporter)), timeout=10))
            client.sendall(HEALTHY)
            assert client.recv(1 << 12), number
        slow.setblocking(True)  # noqa: FBT003
        slow.settimeout(10)
        received = b""
        while not received.endswith(b"\n") or not received.count(b"vitald_http_tls"):
            chunk = slow.recv(1 << 16)
            assert chunk
            received += chunk
    assert exporter._server.stats.evicted["limit"] >= MAX_CONNECTIONS
