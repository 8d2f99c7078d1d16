"""Which modules an initramfs brings, in which version: a short-lived program at the lowest priority, which answers in JSON.

`python -Im collectors.nic.boot.initramfs_helper FILE RELEASE DRIVER…`. A program of its own, since unpacking 100 MB takes seconds of CPU
and a decompressor's window megabytes, which only a process that ends gives back.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.nic.boot.cpio import BadArchive, Member, Stream, members
from collectors.nic.boot.modinfo import MOST_BYTES, Unreadable, understand
from collectors.nic.boot.module_lists import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Iterable

SUFFIXES = (".ko", ".ko.gz", ".ko.xz", ".ko.zst")
SQUASHED = ("squash-root.img", "squashfs-root.img")  # dracut's squash module: what is in there we cannot see


def look(found: Iterable[Member], release: str, drivers: Iterable[str]) -> dict[str, Any]:
    """Give `modules`: each driver's file, version and srcversion, or None where it is not in it; and `problem`, empty if all was read."""
    names = {f"{driver}{suffix}".replace("-", "_"): driver for driver in drivers for suffix in SUFFIXES}
    modules: dict[str, dict[str, str] | None] = dict.fromkeys(names.values())
    problem, folder = "", f"lib/modules/{release}/"
    try:
        for member in found:
            where = member.name.partition(folder)[2]
            driver = names.get(where.rpartition("/")[2].replace("-", "_")) if where else None
            if driver is not None and 0 < member.size <= MOST_BYTES and _first(where, modules[driver]):
                modules[driver] = {"path": where, **_tags(where, member.read())}
            elif member.name.rpartition("/")[2] in SQUASHED:
                problem = "what it holds is squashed"
    except BadArchive as error:
        problem = str(error)
    return {"modules": modules, "problem": problem}


def _first(where: str, other: dict[str, str] | None) -> bool:
    """Say whether modprobe would take this one: depmod prefers what is outside the kernel's tree (depmod.d(5), `search`)."""
    return other is None or (where.split("/", maxsplit=1)[0] in OUTSIDE and other["path"].split("/")[0] not in OUTSIDE)


def _tags(where: str, data: bytes) -> dict[str, str]:
    try:
        tags = understand(where, data)
    except Unreadable as error:
        return {"unread": str(error)}
    return {name: tags.get(name, "") for name in ("version", "srcversion")}


def main() -> int:
    """Look and print."""
    path, release, *drivers = sys.argv[1:]
    with contextlib.suppress(OSError):
        os.nice(19)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with Path(path).open("rb", buffering=0) as file:
        json.dump(look(members(Stream(lambda: file.read(1 << 18))), release, drivers), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
