"""Reading files that others wrote: bounded, and only regular ones, so that a FIFO or a directory in their place holds nobody up."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_regular(path: Path, most: int) -> bytes:
    """Read at most so many bytes; OSError where the path cannot be opened, EINVAL where it is no regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(descriptor)


def read_text(path: Path, most: int) -> str:
    """Read it as text; nothing where it cannot be read."""
    try:
        return read_regular(path, most).decode("utf-8", "replace")
    except OSError:
        return ""


def mtime(path: Path) -> float:
    """Give the time of the last change, in Unix seconds; 0 where there is no such path."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
