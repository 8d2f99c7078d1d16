"""Which file modprobe would load for a driver: depmod's lists (modules.dep(5)), or a search where depmod has not run yet."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from collectors.files import read_regular, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_BYTES = 16 << 20  # of modules.dep; a full kernel's has 1 MB
OUTSIDE = ("updates", "extra", "weak-updates")  # where DKMS and vendors put theirs (depmod.d(5): before the kernel's own)
_INSIDE = ("kernel/drivers/net", "kernel/drivers/amazon")


def find_module(folder: Path, driver: str) -> str | None:
    """Give its place under a kernel's folder, None where there is none; OSError where that may not be read."""
    try:
        listed = read_regular(folder / "modules.dep", _MOST_BYTES)
    except FileNotFoundError:
        return next(_searched(folder, driver), None)
    match = re.search(rf"^((?:\S*/)?{_name(driver)}):", listed.decode("utf-8", "replace"), re.MULTILINE)
    return match[1] if match else None


def builtin_version(folder: Path, driver: str) -> str | None:
    """Give the version of a driver that is part of the kernel's image, empty where it has none; None where it is no part of it."""
    if not re.search(rf"/{_name(driver)}$", read_text(folder / "modules.builtin", _MOST_BYTES), re.MULTILINE):
        return None
    match = re.search(rf"(?:^|\0){re.escape(driver)}\.version=([^\0]*)", read_text(folder / "modules.builtin.modinfo", _MOST_BYTES))
    return match[1] if match else ""


def _name(driver: str) -> str:
    """Make a pattern of a driver's name: modprobe holds - and _ for the same."""
    return "[-_]".join(re.escape(part) for part in re.split("[-_]", driver)) + r"\.ko(?:\.(?:gz|xz|zst))?"


def _searched(folder: Path, driver: str) -> Iterator[str]:
    """Look for the file itself; OSError where a folder on the way may not be read."""
    pattern = re.compile(_name(driver))
    for part in (*OUTSIDE, *_INSIDE):
        for here, _, files in os.walk(folder / part, onerror=_raise_unless_gone):
            yield from (os.path.relpath(os.path.join(here, name), folder) for name in files if pattern.fullmatch(name))  # noqa: PTH118


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error
