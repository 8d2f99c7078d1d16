"""Reads /proc/meminfo (proc(5); kernel: fs/proc/meminfo.c): name and size, in whatever order and completeness a kernel has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import LARGEST, count, text_of
from collectors.model import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read(proc: Path) -> Mapping[str, int]:
    """Give the fields of this host. Raises `Unavailable` where the file is missing, unreadable, or a container's own view."""
    return parse(text_of(f"{proc}/meminfo"))


def parse(text: str) -> Mapping[str, int]:
    """Give each field that can be read: bytes, or plain numbers for the `HugePages_` counts.

    A field that is missing, empty or nonsense is not in the mapping: it is unknown, which is not the same as 0.
    """
    fields: dict[str, int] = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        value = count(words[0]) if colon and words else None
        if value is None:
            continue
        if len(words) == 1:
            fields.setdefault(name, value)
        elif words[1] == "kB" and value * 1024 < LARGEST:
            fields.setdefault(name, value * 1024)
    if not fields.get("MemTotal") or "MemFree" not in fields:
        raise Unavailable("missing", "meminfo: no MemTotal and MemFree in it")
    return fields


def is_a_containers(mountinfo: str) -> bool:
    """Say whether something is mounted over /proc/meminfo, as lxcfs does: a mixture of a cgroup's and the host's numbers, not a ledger."""
    return any(line.split(" ", 5)[4:5] == ["/proc/meminfo"] for line in mountinfo.splitlines())
