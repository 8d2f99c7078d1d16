"""Initramfs helper: lists the modules of given drivers in an initramfs. Runs at the lowest priority, answers in JSON.

`python -Im collectors.nic.boot.initramfs_helper FILE RELEASE DRIVER…`. A process of its own, since unpacking 100 MB takes seconds of CPU
and a decompressor's window megabytes, which only a process that ends gives back.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.compression import CompressionError
from collectors.nic.boot.cpio import ArchiveMember, InvalidArchive, Stream, members
from collectors.nic.boot.modinfo import MAX_BYTES, InvalidModule, parse_module
from collectors.nic.boot.module_lists import OUT_OF_TREE

if TYPE_CHECKING:
    from collections.abc import Iterable

SUFFIXES = (".ko", ".ko.gz", ".ko.xz", ".ko.zst")
SQUASHED = ("squash-root.img", "squashfs-root.img")  # dracut's squash module, which is not unpacked


def find_modules(archive: Iterable[ArchiveMember], release: str, drivers: Iterable[str]) -> dict[str, Any]:
    """Return `modules`: each driver's path, version and srcversion, None where it is absent; and `problem`, empty if all was read."""
    names = {f"{driver}{suffix}".replace("-", "_"): driver for driver in drivers for suffix in SUFFIXES}
    modules: dict[str, dict[str, str] | None] = dict.fromkeys(names.values())
    problem, directory = "", f"lib/modules/{release}/"
    try:
        for member in archive:
            path = member.name.partition(directory)[2]
            driver = names.get(path.rpartition("/")[2].replace("-", "_")) if path else None
            if driver is not None and 0 < member.size <= MAX_BYTES and _takes_precedence(path, modules[driver]):
                modules[driver] = {"path": path, **_tags(path, member.read())}
            elif member.name.rpartition("/")[2] in SQUASHED:
                problem = "its content is squashed"
    except (InvalidArchive, CompressionError) as error:
        problem = str(error)
    return {"modules": modules, "problem": problem}


def _takes_precedence(path: str, other: dict[str, str] | None) -> bool:
    """Return whether modprobe prefers this file: depmod puts out-of-tree ones first (depmod.d(5), `search`)."""
    return other is None or (path.split("/", maxsplit=1)[0] in OUT_OF_TREE and other["path"].split("/")[0] not in OUT_OF_TREE)


def _tags(path: str, data: bytes) -> dict[str, str]:
    try:
        tags = parse_module(path, data)
    except InvalidModule as error:
        return {"problem": str(error)}
    return {name: tags.get(name, "") for name in ("version", "srcversion")}


def main() -> int:
    """Read the archive and print the answer."""
    path, release, *drivers = sys.argv[1:]
    with contextlib.suppress(OSError):
        os.nice(19)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with Path(path).open("rb", buffering=0) as file:
        json.dump(find_modules(members(Stream(file.read)), release, drivers), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
