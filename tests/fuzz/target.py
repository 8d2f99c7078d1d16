"""A fuzz target: a function from foreign bytes, its limits, its seeds, and the modules that it covers."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PART = b"\f"  # divides one input into several files: no text of a parser here contains a form feed


@dataclass(frozen=True)
class Target:
    """`run` parses bytes and checks what it returns; only `allowed` exceptions, the parser's own, may leave it.

    `seconds` is the CPU time that one input may take, `memory` the bytes by which the process may grow, `most` the longest input that
    the reader before the parser lets through (stretched inputs are at most so long), `length` the longest that mutation makes.
    """

    name: str
    modules: tuple[str, ...]
    run: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    allowed: tuple[type[Exception], ...] = ()
    seconds: float = 0.5
    memory: int = 64 << 20
    most: int = 1 << 18
    length: int = 4096
    words: tuple[bytes, ...] = field(default=(), repr=False)


@functools.cache
def scratch() -> Path:
    """Return a folder in memory for parsers that read a path; it is removed at the end of the process."""
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="vitald-fuzz-", dir=shared if shared.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def put(name: str, data: bytes) -> Path:
    """Write a file below the scratch folder and return its path."""
    path = scratch() / name
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


def divide(data: bytes, parts: int) -> list[bytes]:
    """Divide an input into so many files; missing ones are empty."""
    found = data.split(PART, parts - 1)
    return found + [b""] * (parts - len(found))


def text(data: bytes) -> str:
    """Decode as the readers of text files do."""
    return data.decode("utf-8", "replace")


def files(*patterns: str, most: int = 4096) -> list[bytes]:
    """Return the heads of the fixtures that match, below tests/: seeds."""
    paths = [path for pattern in patterns for path in sorted(TESTS.glob(pattern)) if path.is_file()]
    assert paths, patterns
    return [path.read_bytes()[:most] for path in paths]


def lines_of(*patterns: str, step: int = 7) -> list[bytes]:
    """Return every `step`-th line of the fixtures that match."""
    return [line for data in files(*patterns, most=1 << 20) for line in data.splitlines()[::step] if line]
