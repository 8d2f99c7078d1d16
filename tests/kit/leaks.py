"""Leaks made for real: programs that hold what they were told to, until the test is over."""

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
    """Two of these at a time on one kernel would find each other's leaks."""
    with (Path(tempfile.gettempdir()) / "vitald-test-memory.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def leaking(kind: str, megabytes: int, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A leaker that has leaked. All is free again afterwards, as far as the kernel gets round to it within a minute."""
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
    deadline = time.monotonic() + 60  # another program's growth is in the same figure, so this may wait in vain
    while unreclaimable() - before > max(leaked // 10, 32 << 20) and time.monotonic() < deadline:
        time.sleep(0.1)  # 2,000 network namespaces are taken apart one by one, long after their process has gone


def unreclaimable() -> int:
    """Return the bytes of slab that the kernel cannot reclaim."""
    return next(int(line.split()[1]) << 10 for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("SUnreclaim:"))


def more(leaker: subprocess.Popen[str], megabytes: int) -> None:
    """Leak so much more."""
    assert leaker.stdin is not None
    leaker.stdin.write(f"{megabytes}\n")
    leaker.stdin.flush()
    _ready(leaker)


def _ready(leaker: subprocess.Popen[str]) -> None:
    assert leaker.stdout is not None
    assert leaker.stdout.readline() == "ready\n"
