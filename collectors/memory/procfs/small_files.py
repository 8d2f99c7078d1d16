"""Reads small files of /proc and /sys, and numbers out of them, without ever failing on nonsense.

What is read on each tick is named by a string: pathlib interns each part of a path it makes, and a table of interned names that is
written to for weeks grows by half a megabyte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.files import read_regular
from collectors.model import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1 << 56  # bytes: 64 PiB. The kernel prints a counter that slipped below zero as almost 2**64; that is not a size.
LONGEST = 4 << 20  # bytes of one /proc file; slabinfo of a large host has 60 KB, unix_diag is not read from here


def text_of(path: str | Path) -> str:
    """Give a file's text, or raise `Unavailable` with one of its reasons."""
    try:
        return read_regular(path, LONGEST).decode("ascii", "replace")
    except PermissionError as error:
        raise Unavailable("permission", f"{path}: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise Unavailable("missing", f"{path}: {getattr(error, 'strerror', None) or error}") from error


def text_or_none(path: str | Path) -> str | None:
    """Give a file's text, or None where it is not there or not for us."""
    try:
        return text_of(path)
    except Unavailable:
        return None


def count(word: str) -> int | None:
    """Read one non-negative decimal number; None for anything else, and for what cannot be true."""
    if not (word.isascii() and word.isdigit()) or len(word) > 20:  # noqa: PLR2004 — the digits of 2**64
        return None
    number = int(word)
    return number if number < LARGEST else None
