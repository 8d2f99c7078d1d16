"""Sizes and times as people say them."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isinf

from collectors.text import LONG, span

WORTH_A_WORD = 1 << 20  # bytes: who holds or gained less is not named
_STEPS = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))


def size(number: float) -> str:
    """Say bytes, in powers of 1024, as `free -h` does."""
    for step, unit in _STEPS:
        if abs(number) >= step:
            value = number / step
            return f"{value:.0f} {unit}" if abs(value) >= 10 else f"{value:.1f} {unit}"  # noqa: PLR2004 — two digits are enough
    return f"{number:.0f} B"


def rate(bytes_per_second: float) -> str:
    """Say a growth by the hour."""
    return f"{size(bytes_per_second * 3600)} an hour"


def duration(seconds: float) -> str:
    """Say how long, in the one unit that fits."""
    if isinf(seconds):
        return "never"
    return span(seconds, LONG)


def hour(wall: float) -> str:
    """Say a Unix time to the minute; far futures only by their day, and none beyond the calendar."""
    try:
        moment = datetime.fromtimestamp(wall, UTC)
    except (OverflowError, ValueError, OSError):
        return "in a far future"
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def clean(text: str) -> str:
    """Keep a name on one line, whatever a process calls itself."""
    return "".join(c if c.isprintable() else "?" for c in text)[:64]
