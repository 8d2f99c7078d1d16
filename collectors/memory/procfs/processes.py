"""/proc/PID/statm and stat (proc(5)): the private memory of the largest processes.

Not psutil: it costs 4 MB of memory in the daemon, for two numbers that are in two small files.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from collectors.memory.procfs.small_files import parse_number

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 20_000  # processes read
LARGEST_PID = 1 << 22  # PID_MAX_LIMIT, include/linux/threads.h


class ProcessMemory(NamedTuple):
    """A process and its private memory in bytes: resident less file-backed and shared pages.

    `starttime` (clock ticks since boot) distinguishes two processes of one pid.
    """

    pid: int
    starttime: int
    comm: str
    private: int


def read_pids(proc: Path) -> list[int]:
    """Read the ids of the processes, ascending; empty where none is visible: hidepid=, a recorded host, a folder that is not readable.

    Not psutil.pids(), which takes for granted that there is one.
    """
    try:
        names = os.listdir(proc)  # noqa: PTH208 — 20,000 Path objects would cost more than the reading
    except OSError:
        return []
    return sorted(pid for name in names if (pid := parse_number(name)) and pid <= LARGEST_PID)


def read_largest(proc: Path, page: int, top: int, total: int) -> tuple[ProcessMemory, ...]:
    """Read the `top` processes with most private memory; those that exit meanwhile, or have more than `total` bytes, are left out."""
    pages = ((_private_pages(f"{proc}/{pid}/statm"), pid) for pid in read_pids(proc)[:LIMIT])
    sizes = [(private, pid) for private, pid in pages if 0 < private <= total // page]
    found = (_process(proc, pid, private * page) for private, pid in sorted(sizes, reverse=True)[:top])
    return tuple(process for process in found if process is not None)


def sees_all(proc: Path) -> bool:
    """Return whether other users' processes are visible: there always is a process 1, whose statm anyone may read without hidepid=."""
    try:
        os.close(os.open(f"{proc}/1/statm", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _private_pages(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # not open(): of thousands of files in a row, a file object is half the price
        try:
            words = os.read(fd, 200).split()
        finally:
            os.close(fd)
        return int(words[1]) - int(words[2]) if words[1].isdigit() and words[2].isdigit() else 0
    except (OSError, ValueError, IndexError):
        return 0


def _process(proc: Path, pid: int, private: int) -> ProcessMemory | None:
    try:
        with open(f"{proc}/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123
            text = file.read(2048).decode("utf-8", "backslashreplace")
        head, _, rest = text.rpartition(")")  # a command's name may hold spaces and brackets itself
        return ProcessMemory(pid, int(rest.split()[19]), head.partition("(")[2], private)
    except (OSError, ValueError, IndexError):
        return None
