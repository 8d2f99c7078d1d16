"""/proc/meminfo (proc(5); kernel: fs/proc/meminfo.c): name and size, in whatever order and completeness a kernel has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import LARGEST, parse_number, text_of
from collectors.model import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_meminfo(proc: Path) -> Mapping[str, int]:
    """Read the fields of this host. Raises `Unavailable` where the file is missing or unreadable, or lacks its totals."""
    return parse_meminfo(text_of(f"{proc}/meminfo"))


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


def is_container_view(mountinfo: str) -> bool:
    """Return whether something is mounted over /proc/meminfo, as lxcfs does: a mixture of a cgroup's and the host's numbers."""
    return any(line.split(" ", 5)[4:5] == ["/proc/meminfo"] for line in mountinfo.splitlines())
