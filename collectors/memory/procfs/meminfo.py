"""/proc/meminfo (proc(5); kernel: fs/proc/meminfo.c): name and size, in whatever order and completeness a kernel has them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import LARGEST, parse_number, text_of, text_or_none
from collectors.model import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_meminfo(proc: Path) -> Mapping[str, int]:
    """Read the fields of this host. Raises `Unavailable` where the file is missing (every host has it), unreadable or without totals."""
    try:
        return parse_meminfo(text_of(f"{proc}/meminfo"))
    except Unavailable as error:
        raise Unavailable("failing" if error.reason == "missing" else error.reason, error.detail) from error


def parse_meminfo(text: str) -> Mapping[str, int]:
    """Parse each valid field: bytes, or plain numbers for the `HugePages_` counts. Raises `Unavailable` without MemTotal and MemFree.

    A field that is missing, empty or invalid is not in the mapping: it is unknown, which is not the same as 0.
    """
    fields: dict[str, int] = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        value = parse_number(words[0]) if colon and words else None
        if value is None:
            continue
        if len(words) == 1:
            fields.setdefault(name, value)
        elif words[1] == "kB" and value * 1024 < LARGEST:
            fields.setdefault(name, value * 1024)
    if not fields.get("MemTotal") or "MemFree" not in fields:
        raise Unavailable("missing", "meminfo: MemTotal or MemFree is missing")
    return fields


def container_view(proc: Path) -> str:
    """Return the file system that is mounted over meminfo, as lxcfs does with a mixture of a cgroup's and the host's numbers; else "".

    In a mounted procfs (its root is inode 1, PROC_ROOT_INO) the file's device tells, wherever it is mounted. For a recorded host, or one
    whose files cannot be compared, its mountinfo tells (proc(5), /proc/PID/mountinfo).
    """
    mounted = text_or_none(f"{proc}/self/mountinfo") or ""
    try:
        root, file = os.stat(proc), os.stat(f"{proc}/meminfo")  # noqa: PTH116 — of a string: see small_files.py
    except OSError:
        pass
    else:
        if root.st_ino == 1:
            if root.st_dev == file.st_dev:
                return ""
            return _file_system_at(mounted, f"{proc}/meminfo") or "another file system"
    return _file_system_at(mounted, "/proc/meminfo")


def _file_system_at(mountinfo: str, path: str) -> str:
    """Return the type of the file system mounted last at a path; empty where none is."""
    found = ""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split(" ", 5)[4:5] == [path]:
            found = rest.split(" ", 1)[0] or "another file system"
    return found
