"""Leaks made for real: programs that hold what they were told to, until the test is over."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import sys
import tempfile
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
    """A leaker that has leaked. All is free again afterwards."""
    with subprocess.Popen(
        [sys.executable, LEAKER, kind, str(megabytes), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as leaker:
        try:
            _ready(leaker)
            yield leaker
        finally:
            leaker.kill()


def more(leaker: subprocess.Popen[str], megabytes: int) -> None:
    """Leak so much more."""
    assert leaker.stdin is not None
    leaker.stdin.write(f"{megabytes}\n")
    leaker.stdin.flush()
    _ready(leaker)


def _ready(leaker: subprocess.Popen[str]) -> None:
    assert leaker.stdout is not None
    assert leaker.stdout.readline() == "ready\n"
