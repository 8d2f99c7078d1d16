"""Bounded reads of files of other programs; they do not block on a FIFO or a device at the path."""

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
    """Identity and state of a file. Includes ctime, since tools that copy files set mtime."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


def read_once(path: str | Path, most: int) -> bytes:
    """Return the result of one read(2): the whole of a sysfs file, the beginning of another. Raises `OSError`."""
    descriptor = os.open(path, _FLAGS)
    try:
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def read_regular(path: str | Path, most: int) -> bytes:
    """Read at most `most` bytes. Raises `OSError`, EINVAL for anything but a regular file (those of procfs are)."""
    descriptor = os.open(path, _FLAGS)  # a file object would double the cost for a small file
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        parts, chunk = [], max(_CHUNK, status.st_size)
        while most > 0 and (part := os.read(descriptor, min(most, chunk))):  # procfs may return a page at a time
            parts.append(part)
            most -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def read_bytes(path: str | Path, most: int) -> bytes:
    """Read a regular file; empty if it cannot be read."""
    try:
        return read_regular(path, most)
    except OSError:
        return b""


def read_text(path: str | Path, most: int) -> str:
    """Read a regular file as text; empty if it cannot be read."""
    return read_bytes(path, most).decode("utf-8", "replace")


def stamp(path: str | Path) -> Stamp | None:
    """Return the stamp of a path; None if there is no such file."""
    try:
        return stamp_of(os.stat(path))  # noqa: PTH116 — called for hundreds of paths, without a Path object each
    except (OSError, ValueError):
        return None


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a stat(2) result."""
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_boot_id(proc: str | Path) -> str:
    """Return the kernel's boot id, in lower case; empty where it cannot be read or is none (proc_sys_kernel(5), random/boot_id)."""
    boot_id = read_text(f"{proc}/sys/kernel/random/boot_id", 64).strip().lower()
    return boot_id if _BOOT_ID.fullmatch(boot_id) else ""
