"""Amounts and local times, as `vitald scan` prints them."""

from __future__ import annotations

from datetime import datetime


def amount(count: float) -> str:
    """Write bytes in decimal units, as disks and networks are sold."""
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if count >= 1000:  # noqa: PLR2004
            count, unit = count / 1000, larger
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def day(at: float | None) -> str:
    """Write a Unix time as local time."""
    return "no time" if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")  # noqa: DTZ006 — people read local time
