"""Bounded reads of small files in /proc and /sys, numbers in them, and the list of loaded modules.

Files that are read on each tick are named by a string: pathlib interns each part of a path it makes, and a table of interned names that
is written to for weeks grows by half a megabyte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.files import read_regular
from collectors.model import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1 << 56  # bytes: 64 PiB. The kernel prints a counter that slipped below zero as almost 2**64; that is not a size.
LONGEST = 4 << 20  # bytes of one /proc file; slabinfo of a large host has 60 KB


def text_of(path: str | Path) -> str:
    """Read a file's text; raises `Unavailable`."""
    try:
        return read_regular(path, LONGEST).decode("ascii", "replace")
    except PermissionError as error:
        raise Unavailable("permission", f"{path}: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise Unavailable("missing", f"{path}: {getattr(error, 'strerror', None) or error}") from error


def text_or_none(path: str | Path) -> str | None:
    """Read a file's text; None where it is missing or not readable."""
    try:
        return text_of(path)
    except Unavailable:
        return None


def parse_number(word: str) -> int | None:
    """Parse one non-negative decimal number; None for anything else, and for an impossible size."""
    if not (word.isascii() and word.isdigit()) or len(word) > 20:  # noqa: PLR2004 — the digits of 2**64
        return None
    number = int(word)
    return number if number < LARGEST else None


def read_modules(proc: Path) -> frozenset[str]:
    """Read the names of the loaded modules (/proc/modules, proc(5)); empty for a kernel without modules, which has no such file."""
    return parse_modules(text_or_none(f"{proc}/modules") or "")


def parse_modules(text: str) -> frozenset[str]:
    """Return the first word of each line."""
    return frozenset(line.split(" ", 1)[0] for line in text.splitlines() if line.strip())
