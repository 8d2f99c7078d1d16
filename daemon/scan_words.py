"""Numbers, times and names as people read them."""

from __future__ import annotations

from datetime import datetime


def plain(text: str) -> str:
    """Keep terminals safe from what a log may hold."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def duration(seconds: float) -> str:
    """Write a time span as people say it, its two largest units."""
    left = round(seconds)
    sign, left = ("-", -left) if left < 0 else ("", left)
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + " ".join(parts[:2] or ["0s"])


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
