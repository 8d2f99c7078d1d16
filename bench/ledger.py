"""Cost of the memory collector: a tick, and a holder scan among 10,000 sockets and 2,000 processes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from collectors.memory.collector import KernelMemory
from collectors.memory.holders.scan import INTERVAL
from collectors.memory.settings import MemorySettings
from collectors.model import CollectorContext
from tests.kit.figures import quantile
from tests.kit.program import BenchError
from tests.kit.results import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ISSUE = 6
TICKS = 400
TICK_BAR, SCAN_BAR = 1e-3, 1.5  # seconds of CPU
SOCKETS, PROCESSES = 10_000, 2_000

HOLD = """
import resource, socket, sys
n = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
kept = []
for _ in range(n // 2):
    one = socket.create_connection(listener.getsockname())
    one.send(b"x" * 100)
    kept += [one, listener.accept()[0]]
print("ready", flush=True)
sys.stdin.read()
"""
FORK = """
import os, sys
children = []
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if not child:
        sys.stdin.read()
        os._exit(0)
    children.append(child)
print("ready", flush=True)
sys.stdin.read()
"""


def measure(folder: Path) -> list[Row]:  # noqa: ARG001 — it needs no files
    """Tick in this process, with the priority it has; scan as the daemon does, in a helper process."""
    return [_tick(), _scan()]


def _tick() -> Row:
    settings = MemorySettings()
    collector, now = KernelMemory(settings, CollectorContext()), [time.clock_gettime(time.CLOCK_BOOTTIME)]
    collector.clock = lambda: now[0]
    costs = []
    for _ in range(TICKS):
        now[0] += 30.0
        began = time.thread_time()
        reading = collector.read()
        collector.follow_up(reading, list(collector.judge([reading], settings)))
        list(collector.measure(reading, settings))
        costs.append(time.thread_time() - began)
    collector.close()
    mean, processes = sum(costs) / len(costs), sum(name.isdigit() for name in os.listdir("/proc"))  # noqa: PTH208
    return Row(
        f"CPU of a ledger tick, mean of {TICKS} at 30 s with all periodic work ({processes} processes every 5 min)",
        "< 1 ms",
        f"{mean * 1e3:.2f} ms (median {quantile(costs, 0.5) * 1e3:.2f} ms, p99 {quantile(costs, 0.99) * 1e3:.2f} ms)",
        "-",
        "-",
        mean < TICK_BAR,
    )


def _scan() -> Row:
    with ExitStack() as stack:
        stack.enter_context(_kept(FORK, PROCESSES))
        for _ in range(10):
            stack.enter_context(_kept(HOLD, SOCKETS // 10))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-Im", "collectors.memory.holders.helper"], capture_output=True, check=False)
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise BenchError(done.stderr.decode())
    found: dict[str, Any] = json.loads(done.stdout)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    enough = found["sockets"]["seen"] >= SOCKETS and found["processes"] >= PROCESSES and not found["truncated"]
    return Row(
        f"CPU of a holder scan, its interpreter included: {found['sockets']['seen']} sockets, {found['processes']} processes",
        "< 1.5 s",
        f"{cpu:.2f} s ({wall:.1f} s at nice 19 and SCHED_IDLE; {after.ru_maxrss / 1024:.0f} MB for that long)",
        "-",
        "-",
        enough and cpu < SCAN_BAR,
        f"at most every {INTERVAL:.0f} s" if enough else f"not all of them were read: {found['truncated']}",
    )


@contextmanager
def _kept(code: str, number: int) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-ISc", code, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        try:
            if program.stdout is None or program.stdout.readline() != b"ready\n":
                raise BenchError("the sockets or processes could not be made")
            yield
        finally:
            program.kill()
