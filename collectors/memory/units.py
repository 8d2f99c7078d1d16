"""Sizes, rates and durations in the words of messages and panels. Pure."""

from __future__ import annotations

from math import isinf

from collectors.text import LONG, span

NOTABLE_BYTES = 1 << 20  # holders and gains below it are not listed
MINUTE = "%Y-%m-%d %H:%M UTC"  # format of collectors.text.utc
_STEPS = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))


def size(number: float) -> str:
    """Format bytes, in powers of 1024, like `free -h`."""
    for step, unit in _STEPS:
        if abs(number) >= step:
            value = number / step
            return f"{value:.0f} {unit}" if abs(value) >= 10 else f"{value:.1f} {unit}"  # noqa: PLR2004 — two digits are enough
    return f"{number:.0f} B"


def rate(bytes_per_second: float) -> str:
    """Format a growth by the hour."""
    return f"{size(bytes_per_second * 3600)} an hour"


def duration(seconds: float) -> str:
    """Format a duration in the one unit that fits; `never` for infinity."""
    return "never" if isinf(seconds) else span(seconds, LONG)
