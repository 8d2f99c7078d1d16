"""Reads what processes use themselves: /proc/PID/statm and stat (proc(5)), for the largest few.

Not psutil: it costs 4 MB of memory in the daemon, for two numbers that two small reads give.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 20_000  # processes looked at


class Process(NamedTuple):
    """A process and its own memory in bytes: resident less files and shared memory. `began` tells two owners of one pid apart."""

    pid: int
    began: int
    comm: str
    own: int


def largest(proc: Path, page: int, top: int) -> tuple[Process, ...]:
    """Give the `top` processes with most memory of their own; processes that die meanwhile are simply not there."""
    sizes: list[tuple[int, int]] = []
    for name in os.listdir(proc):  # noqa: PTH208 — 20,000 Path objects would cost more than the reading
        if name.isdigit() and len(sizes) < LIMIT:
            own = _own(f"{proc}/{name}/statm")
            if own:
                sizes.append((own, int(name)))
    found = (_process(proc, pid, own * page) for own, pid in sorted(sizes, reverse=True)[:top])
    return tuple(process for process in found if process is not None)


def _own(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # not open(): of thousands of files in a row, a file object is half the price
        try:
            words = os.read(fd, 200).split()
        finally:
            os.close(fd)
        return int(words[1]) - int(words[2])
    except (OSError, ValueError, IndexError):
        return 0


def _process(proc: Path, pid: int, own: int) -> Process | None:
    try:
        with open(f"{proc}/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123
            text = file.read(2048).decode("utf-8", "backslashreplace")
        head, _, rest = text.rpartition(")")  # a command's name may hold spaces and brackets itself
        return Process(pid, int(rest.split()[19]), head.partition("(")[2], own)
    except (OSError, ValueError, IndexError):
        return None
