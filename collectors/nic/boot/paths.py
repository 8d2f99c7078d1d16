"""Paths below a root: where its kernel modules are, when a path changed, and links that mean that root."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MODULES = "lib/modules"
_BIND_MOUNT = "run/vitald-modules"  # the unit's ProtectKernelModules= hides _MODULES, its BindReadOnlyPaths= shows it here


def is_denied(path: Path) -> bool:
    """Return whether opening the path fails for lack of permission: it exists, or may exist."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError as error:
        return isinstance(error, PermissionError)
    return False


def mtime(path: Path) -> float:
    """Return the modification time in Unix seconds; 0 where there is no such path."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def ctime(path: Path) -> float:
    """Return the time of the last status change in Unix seconds: unlike mtime, a package cannot set it. 0 where there is no such path."""
    try:
        return path.stat().st_ctime
    except OSError:
        return 0.0


def modules_directory(root: Path) -> str:
    """Return the directory of the installed kernels' modules, relative to the root."""
    return _BIND_MOUNT if is_denied(root / _MODULES) and (root / _BIND_MOUNT).is_dir() else _MODULES


def resolve_in_root(root: Path, path: str) -> Path:
    """Return a path below a root, with an absolute link in its last part resolved below that root, as the host booted from it does.

    `/lib/modules/KERNEL/build` and the modules in weak-updates are such links.
    """
    resolved = root / path
    try:
        target = os.readlink(resolved)  # noqa: PTH115 — the text, not a path
    except OSError:
        return resolved
    if not target.startswith("/"):
        return resolved
    return root / target.replace(f"/{_MODULES}/", f"/{modules_directory(root)}/", 1).lstrip("/")
