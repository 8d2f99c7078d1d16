"""Where the modules and kernels of a root are, when they changed, and what of it is not for us."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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
