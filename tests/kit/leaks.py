"""Real leaks: programs that hold kernel memory until the test is over."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAKER = Path(__file__).with_name("leaker.py")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of this machine: two tests at a time on one kernel would find each other's leaks."""
    with (Path(tempfile.gettempdir()) / "vitald-test-memory.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def leaking(kind: str, megabytes: int, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run leaker.py and yield it when it has leaked. Afterwards wait, at most a minute, until the kernel has freed the memory."""
    before = unreclaimable()
    with subprocess.Popen(
        [sys.executable, LEAKER, kind, str(megabytes), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as leaker:
        try:
            _ready(leaker)
            yield leaker
        finally:
            leaked = unreclaimable() - before
            leaker.kill()
    deadline = time.monotonic() + 60  # another program's growth is in the same figure, so the deadline may be reached
    while unreclaimable() - before > max(leaked // 10, 32 << 20) and time.monotonic() < deadline:
        time.sleep(0.1)  # 2,000 network namespaces are taken apart one by one, long after their process has gone


def unreclaimable() -> int:
    """Return the bytes of SUnreclaim."""
    return next(int(line.split()[1]) << 10 for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("SUnreclaim:"))


def more(leaker: subprocess.Popen[str], megabytes: int) -> None:
    """Leak more, and wait until it is done."""
    assert leaker.stdin is not None
    leaker.stdin.write(f"{megabytes}\n")
    leaker.stdin.flush()
    _ready(leaker)


def _ready(leaker: subprocess.Popen[str]) -> None:
    assert leaker.stdout is not None
    assert leaker.stdout.readline() == "ready\n"
