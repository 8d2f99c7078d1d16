"""Reading files that others wrote: bounded, and never waiting where a FIFO or a device stands in a file's place."""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_CHUNK = 1 << 16
_BOOT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class Stamp(NamedTuple):
    """What tells one state of a file from the next. The time of change is in it: tools that copy bring modification times along."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


def read_once(path: str | Path, most: int) -> bytes:
    """Give what one read(2) gives: the whole of a sysfs file, the head of another. OSError where it cannot be read."""
    descriptor = os.open(path, _FLAGS)
    try:
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def read_regular(path: str | Path, most: int) -> bytes:
    """Read at most so many bytes; OSError where the path cannot be read, EINVAL where it is no regular file. procfs' files are."""
    descriptor = os.open(path, _FLAGS)  # a file object would double the price of a small one
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        parts, chunk = [], max(_CHUNK, status.st_size)
        while most > 0 and (part := os.read(descriptor, min(most, chunk))):  # the kernel may give a page at a time
            parts.append(part)
            most -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def read_bytes(path: str | Path, most: int) -> bytes:
    """Read a regular file; nothing where it cannot be read."""
    try:
        return read_regular(path, most)
    except OSError:
        return b""


def read_text(path: str | Path, most: int) -> str:
    """Read a regular file as text; nothing where it cannot be read."""
    return read_bytes(path, most).decode("utf-8", "replace")


def stamp(path: str | Path) -> Stamp | None:
    """Tell one state of a file from the next without reading it; None where there is no such file."""
    try:
        return stamp_of(os.stat(path))  # noqa: PTH116 — asked of hundreds of paths: no Path is made for it
    except (OSError, ValueError):
        return None


def stamp_of(status: os.stat_result) -> Stamp:
    """Give the stamp of a file whose status is known."""
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_boot_id(proc: str | Path) -> str:
    """Return the kernel's boot id, in lower case; empty where it cannot be read or is none (proc_sys_kernel(5), random/boot_id)."""
    boot_id = read_text(f"{proc}/sys/kernel/random/boot_id", 64).strip().lower()
    return boot_id if _BOOT_ID.fullmatch(boot_id) else ""
