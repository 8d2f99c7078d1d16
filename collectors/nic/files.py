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


def denied(path: Path) -> bool:
    """Say whether it is there, or may be, but not for us."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def mtime(path: Path) -> float:
    """Give the time of the last change of what is in it, in Unix seconds; 0 where there is no such path."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def ctime(path: Path) -> float:
    """Give the time of the last change, also of name, place or owner: packages bring modification times of their own along."""
    try:
        return path.stat().st_ctime
    except OSError:
        return 0.0


_MODULES = "lib/modules"
_ASIDE = "run/vitald-modules"  # the unit's ProtectKernelModules= hides the first, its BindReadOnlyPaths= shows it here


def modules(root: Path) -> str:
    """Say where the installed kernels' folders are, under the root."""
    return _ASIDE if denied(root / _MODULES) and (root / _ASIDE).is_dir() else _MODULES


def within(root: Path, path: str) -> Path:
    """Give the place under a root that is not ours where an absolute link means that root, as it does to the host booted from it.

    A link in the last part only: what `/lib/modules/KERNEL/build` and weak-updates are.
    """
    place = root / path
    try:
        target = os.readlink(place)  # noqa: PTH115 — the text, not a path
    except OSError:
        return place
    if not target.startswith("/"):
        return place
    return root / target.replace(f"/{_MODULES}/", f"/{modules(root)}/", 1).lstrip("/")
