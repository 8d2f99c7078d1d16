"""One walk over /proc: the process of each socket, open files by kind, and the kernel memory allocated for each process.

A process that exits during the walk is left out. Reading other users' /proc/PID/fd needs CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE
(proc(5)); processes whose files are not readable are counted as `hidden`.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from collectors.memory.procfs.cgroup import unit_of
from collectors.memory.procfs.processes import LARGEST_PID, read_pids
from collectors.memory.procfs.small_files import LARGEST, parse_number, text_or_none

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet
    from pathlib import Path

# it exited meanwhile, or its files are invalid
GONE = (psutil.Error, OSError, ValueError, IndexError, KeyError, RuntimeError, ArithmeticError)
LATEST = 253_402_300_800.0  # Unix time of the year 10000
FILES = 400_000  # of all processes; one can have a million, and each is a system call


@dataclass(slots=True)
class Process:
    """One process, sizes in bytes. `private` is resident memory that is neither file-backed nor shared.

    `files` counts open files by kind (`pipe`, `anon_inode:[eventpoll]`).
    """

    pid: int
    comm: str = ""
    threads: int = 0
    private: int = 0
    swapped: int = 0
    page_tables: int = 0
    files: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Walk:
    """Processes by pid, `owner` of each wanted socket by inode, processes with unreadable files, and whether a limit was reached."""

    processes: dict[int, Process] = field(default_factory=dict)
    owner: dict[int, int] = field(default_factory=dict)
    hidden: int = 0
    truncated: bool = False


def walk(proc: Path, wanted: AbstractSet[int], limit: int, is_over: Callable[[], bool], total: int = LARGEST) -> Walk:
    """Walk at most `limit` processes, and stop when `is_over()`. `wanted` are the inodes of sockets; `total` bytes have the host.

    Empty where no process is visible.
    """
    found = Walk()
    files = FILES
    psutil.PROCFS_PATH = str(proc)  # psutil's own way to read another host's /proc
    for pid in read_pids(proc):
        if len(found.processes) >= limit or files <= 0 or is_over():
            found.truncated = True
            break
        if (process := _process(proc, pid, total)) is None:
            continue
        found.processes[process.pid] = process
        files -= _files(f"{proc}/{pid}/fd", process, wanted, found)
    return found


def unit(proc: Path, pid: int) -> str:
    """Return the systemd unit or the cgroup of a process; empty where it is gone or in none."""
    return unit_of(text_or_none(proc / str(pid) / "cgroup") or "")


def start_time(proc: Path, pid: int) -> float:
    """Return the Unix time at which a process started; 0 where it is gone, or where that cannot be a time."""
    psutil.PROCFS_PATH = str(proc)
    try:
        began = float(psutil.Process(pid).create_time())
    except GONE:
        return 0.0
    return began if 0 < began < LATEST else 0.0


def _process(proc: Path, pid: int, total: int) -> Process | None:
    """Read a process by psutil, and page tables, which psutil lacks. Not `psutil.Process.name()`, which may read the command line, too.

    Sizes that no process can have, below zero or above `total`, are 0.
    """
    try:
        handle = psutil.Process(pid)
        with handle.oneshot():
            memory = handle.memory_info()
            threads, private = handle.num_threads(), memory.rss - memory.shared
            process = Process(pid, threads=_within(threads, LARGEST_PID), private=_within(private, total))
        with open(f"{proc}/{pid}/status", "rb") as file:  # noqa: PTH123 — 20,000 Path objects would cost more than the reading
            text = file.read(8192).decode("utf-8", "backslashreplace")
    except GONE:
        return None
    for line in text.split("\n"):
        if line.startswith("Name:"):
            process.comm = line[5:].strip()
        elif line.startswith("VmPTE:"):
            process.page_tables = _within(_kilobytes(line), total)
        elif line.startswith("VmSwap:"):
            process.swapped = _within(_kilobytes(line), LARGEST)  # swap may be larger than memory
            break
    return process


def _within(number: int, most: int) -> int:
    return number if 0 <= number <= most else 0


def _kilobytes(line: str) -> int:
    words = line.split()
    return ((parse_number(words[1]) if len(words) > 1 else 0) or 0) * 1024


def _files(folder: str, process: Process, wanted: AbstractSet[int], found: Walk) -> int:
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except PermissionError:
        found.hidden += 1
        return 0
    except OSError:
        return 0
    kinds, owner = process.files, found.owner
    for name in names:
        try:
            link = os.readlink(f"{folder}/{name}")  # noqa: PTH115
        except OSError:
            continue
        if link.startswith("socket:["):
            inode = parse_number(link[8:-1])  # of a recorded host it can be any text
            kinds["socket"] += 1
            if inode is not None and inode in wanted:
                owner.setdefault(inode, process.pid)
        elif link.startswith("pipe:["):
            kinds["pipe"] += 1
        elif link.startswith(("anon_inode:", "/memfd:")):
            kinds[link if link[0] == "a" else "memfd"] += 1
        elif link.startswith("net:["):
            kinds["network namespace"] += 1
        else:
            kinds["file"] += 1
    return len(names)
