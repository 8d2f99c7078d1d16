"""The file that modprobe loads for a driver: depmod's lists (modules.dep(5)), or a search where depmod has not run yet."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from collectors.files import read_regular, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAX_BYTES = 16 << 20  # of modules.dep; a full kernel's has 1 MB
OUT_OF_TREE = ("updates", "extra", "weak-updates")  # directories of DKMS and vendors (depmod.d(5): before the kernel's own)
_IN_TREE = ("kernel/drivers/net", "kernel/drivers/amazon")


def find_module(directory: Path, driver: str) -> str | None:
    """Return a module's path below a kernel's directory, None where there is none. Raises OSError where it may not be read."""
    try:
        modules_dep = read_regular(directory / "modules.dep", _MAX_BYTES)
    except FileNotFoundError:
        return next(_search(directory, driver), None)
    match = re.search(rf"^((?:\S*/)?{_file_pattern(driver)}):", modules_dep.decode("utf-8", "replace"), re.MULTILINE)
    return match[1] if match else None


def builtin_version(directory: Path, driver: str) -> str | None:
    """Return the version of a driver that is built into the kernel, empty where it states none; None where it is not built in."""
    if not re.search(rf"/{_file_pattern(driver)}$", read_text(directory / "modules.builtin", _MAX_BYTES), re.MULTILINE):
        return None
    modinfo = read_text(directory / "modules.builtin.modinfo", _MAX_BYTES)
    match = re.search(rf"(?:^|\0){re.escape(driver)}\.version=([^\0]*)", modinfo)
    return match[1] if match else ""


def _file_pattern(driver: str) -> str:
    """Return a pattern of a driver's file name: to modprobe - and _ are the same."""
    return "[-_]".join(re.escape(part) for part in re.split("[-_]", driver)) + r"\.ko(?:\.(?:gz|xz|zst))?"


def _search(directory: Path, driver: str) -> Iterator[str]:
    """Search for the file itself. Raises OSError where a directory on the way may not be read."""
    pattern = re.compile(_file_pattern(driver))
    for part in (*OUT_OF_TREE, *_IN_TREE):
        for parent, _, files in os.walk(directory / part, onerror=_raise_unless_gone):
            yield from (os.path.relpath(os.path.join(parent, name), directory) for name in files if pattern.fullmatch(name))  # noqa: PTH118


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error
