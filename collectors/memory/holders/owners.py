"""Walks /proc once: which process holds which socket, how many files of each kind, and what the kernel keeps on its behalf.

Processes come and go while we look; one that is gone in between is simply not there. Reading other users' /proc/PID/fd takes
CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE (proc(5)); those we may not read are counted as `hidden`.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from collectors.memory.procfs.cgroup import unit_of
from collectors.memory.procfs.small_files import count, text_or_none

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet
    from pathlib import Path

NOT_THERE = (psutil.Error, OSError, ValueError, IndexError, KeyError, RuntimeError)  # it died meanwhile; or nonsense
FILES = 400_000  # looked at altogether; a process can have a million, and each is a system call


@dataclass(slots=True)
class Process:
    """What one look at a process told, sizes in bytes.

    `own` is resident memory that is neither of a file nor shared; `files` counts open files by kind (`pipe`, `anon_inode:[eventpoll]`).
    """

    pid: int
    comm: str = ""
    threads: int = 0
    own: int = 0
    swapped: int = 0
    page_tables: int = 0
    files: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Walk:
    """The processes seen, the owner of each wanted socket, how many hid their files from us, and whether we stopped early."""

    processes: dict[int, Process] = field(default_factory=dict)
    owner: dict[int, int] = field(default_factory=dict)
    hidden: int = 0
    truncated: bool = False


def walk(proc: Path, wanted: AbstractSet[int], limit: int, enough: Callable[[], bool]) -> Walk:
    """Look at no more than `limit` processes, and stop when `enough()` says so. `wanted` are the inodes of sockets."""
    found = Walk()
    files = FILES
    psutil.PROCFS_PATH = str(proc)  # psutil's own way to look at another host's /proc
    for pid in psutil.pids():
        if len(found.processes) >= limit or files <= 0 or enough():
            found.truncated = True
            break
        process = _process(proc, pid)
        if process is None:
            continue
        found.processes[process.pid] = process
        files -= _files(f"{proc}/{pid}/fd", process, wanted, found)
    return found


def unit(proc: Path, pid: int) -> str:
    """Name the systemd unit or the cgroup of a process; empty where it is gone or in none."""
    return unit_of(text_or_none(proc / str(pid) / "cgroup") or "")


def began(proc: Path, pid: int) -> float:
    """Give the Unix time at which a process began, by psutil; 0 where it is gone."""
    psutil.PROCFS_PATH = str(proc)
    try:
        return float(psutil.Process(pid).create_time())
    except NOT_THERE:
        return 0.0


def _process(proc: Path, pid: int) -> Process | None:
    """Join what psutil says with what it leaves out: page tables. Not `psutil.Process.name()`, which may read the command line, too."""
    try:
        seen = psutil.Process(pid)
        with seen.oneshot():
            memory = seen.memory_info()
            process = Process(pid, threads=seen.num_threads(), own=max(0, memory.rss - memory.shared))
        with open(f"{proc}/{pid}/status", "rb") as file:  # noqa: PTH123 — 20,000 Path objects would cost more than the reading
            text = file.read(8192).decode("utf-8", "backslashreplace")
    except NOT_THERE:
        return None
    for line in text.split("\n"):
        if line.startswith("Name:"):
            process.comm = line[5:].strip()
        elif line.startswith("VmPTE:"):
            process.page_tables = _kilobytes(line)
        elif line.startswith("VmSwap:"):
            process.swapped = _kilobytes(line)
            break
    return process


def _kilobytes(line: str) -> int:
    words = line.split()
    return ((count(words[1]) if len(words) > 1 else 0) or 0) * 1024


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
            inode = int(link[8:-1])
            kinds["socket"] += 1
            if inode in wanted:
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
