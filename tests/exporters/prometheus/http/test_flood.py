"""Floods of idle connections and exhausted descriptors, against an exporter in a process of its own."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.exporters.prometheus.http_client import value

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("many_descriptors")

SERVER = """
import resource, sys, time
from collectors.model import Report
from exporters.prometheus.exporter import Exporter
from exporters.prometheus.status_page.page import Status
if int(sys.argv[1]):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
exporter = Exporter(lambda: [Report("x", 1.0)], addresses=["127.0.0.1:0"], status=lambda: Status({}, "1", (), ()), ready=lambda: True)
exporter.start()
print(exporter.addresses[0].rpartition(":")[2], flush=True)
for line in sys.stdin:  # "take": use up what descriptors are left; "give": let them go
    if line == "take\\n":
        taken = []
        try:
            while True:
                taken.append(open("/dev/null"))
        except OSError:
            print(len(taken), flush=True)
    else:
        for one in taken:
            one.close()
        print("given", flush=True)
"""


class Child:
    """An exporter in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        self.process = process
        self.port = int(process.stdout.readline())

    def tell(self, word: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def status(self, key: str) -> int:
        """Read a number of /proc/PID/status, in its unit (kB for memory)."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))

    def sockets(self) -> int:
        """Count its open sockets."""
        found = 0
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(OSError):
                found += str(descriptor.readlink()).startswith("socket:")
        return found

    def cpu(self) -> float:
        """Return the CPU time used, in seconds."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def scrape(self, source: str = "127.0.0.1") -> bytes:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5, source_address=(source, 0))
        try:
            client.request("GET", "/metrics")
            return client.getresponse().read()
        finally:
            client.close()


@contextmanager
def child(descriptors: int = 0) -> Iterator[Child]:
    command = [sys.executable, "-c", SERVER, str(descriptors)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


@pytest.mark.fault(4)
@pytest.mark.parametrize("attacker", ["127.0.0.1", "127.0.0.9"])
def test_a_thousand_idle_clients_do_not_block_a_scrape(attacker: str) -> None:
    with child() as server, ExitStack() as flood:
        for _ in range(20):
            server.scrape()
        resident, threads = server.status("VmRSS"), server.status("Threads")
        for number in range(1000):
            sock = flood.enter_context(socket.create_connection(("127.0.0.1", server.port), source_address=(attacker, 0), timeout=10))
            if number % 2:
                sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Half: ")
            if number % 100 == 0:
                assert b"vitald_http_connections " in server.scrape("127.0.0.1")
        for source in ("127.0.0.1", "127.0.0.7"):
            started = time.monotonic()
            body = server.scrape(source)
            assert time.monotonic() - started < 5
        assert value(body, 'vitald_http_connections_evicted_total{reason="limit"}') >= 1000 - 128
        assert value(body, "vitald_http_connections ") <= 128
        assert server.status("VmRSS") - resident < 10 * 1024
        assert server.status("Threads") == threads
        flood.close()
        deadline = time.monotonic() + 10
        while value(server.scrape(), "vitald_http_connections ") > 2:
            assert time.monotonic() < deadline


@pytest.mark.fault(5)
def test_without_descriptors_the_server_does_not_spin_and_recovers() -> None:
    with child(descriptors=64) as server, ExitStack() as waiting:
        server.scrape()
        while server.sockets() > 1:  # the scrape's own is still being closed
            time.sleep(0.01)
        assert int(server.tell("take")) > 30
        clients: list[Any] = [waiting.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10)) for _ in range(20)]
        time.sleep(0.2)
        before, started = server.cpu(), time.monotonic()
        time.sleep(1.5)
        assert server.cpu() - before < 0.05 * (time.monotonic() - started)
        assert server.tell("give") == "given"
        body = server.scrape()
        assert value(body, "vitald_http_accept_errors_total") >= 1
        for client in clients:
            client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"


@pytest.mark.fault(5)
def test_clients_that_hold_the_descriptors_are_evicted_for_the_newest() -> None:
    with child(descriptors=32) as server, ExitStack() as flood:
        for _ in range(60):
            flood.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        body = server.scrape()
        assert value(body, 'vitald_http_connections_evicted_total{reason="descriptors"}') >= 10
        before, started = server.cpu(), time.monotonic()
        time.sleep(1)
        assert server.cpu() - before < 0.05 * (time.monotonic() - started)
