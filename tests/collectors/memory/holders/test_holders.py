"""Holder scan: in this process, while others exit; and by the helper process, which hangs or fails."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.memory.holders.helper import scan
from collectors.memory.holders.scan import HolderScan

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def exiting() -> Iterator[None]:
    """Processes with sockets that live for milliseconds, four at a time."""
    over = threading.Event()
    code = "import socket; kept = [socket.socketpair() for _ in range(50)]; [a.send(b'x' * 9000) for a, _ in kept]"

    def churn() -> None:
        while not over.is_set():
            subprocess.run([sys.executable, "-ISc", code], check=False)

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()


@pytest.mark.fault(35)
@pytest.mark.usefixtures("exiting")
def test_processes_that_exit_during_the_walk_are_left_out() -> None:
    for _ in range(8):
        found = scan(Path("/proc"))
        assert found["processes"] > 1
        assert not found["truncated"]


def test_the_largest_process_is_named_with_its_private_memory_and_its_start() -> None:
    code = "import sys; kept = bytearray(b'x' * (600 << 20)); print('ready', flush=True); sys.stdin.read()"
    before = time.time()
    with subprocess.Popen([sys.executable, "-ISc", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as large:
        assert large.stdout is not None
        assert large.stdout.readline() == b"ready\n"
        found = scan(Path("/proc"))
        large.kill()
    (row,) = [row for row in found["own"] if row["pid"] == large.pid]
    assert 600 << 20 <= row["size"] < 640 << 20
    assert before - 5 < row["began"] < time.time() + 5


@pytest.mark.parametrize(
    ("program", "error"), [("sleep 60", "no answer within 0 s"), ("exit 3", "status 3"), ("echo nonsense", "invalid answer")]
)
def test_a_scan_that_hangs_or_fails_is_reported_and_ended(program: str, error: str) -> None:
    client = HolderScan(Path("/proc"))
    client._helper._command = ["sh", "-c", program]
    assert client.start(1000.0)
    assert not client.start(1010.0), "one at a time"
    assert client.wait(0.5 if "sleep" in program else 20.0) is None
    assert error in client.error
    assert not client.start(1299.0), "and no other within five minutes"
    assert client.start(1301.0)
    client.close()
