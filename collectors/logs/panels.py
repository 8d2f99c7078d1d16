"""Where the logs are read, for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.logs.reading import LogsReading

_MOST = 20


def panels(reading: LogsReading) -> Iterator[Panel]:
    """Show each source, what has been read of it since the start, and what could not be; and why others are not read."""
    rows = []
    for traffic in reading.traffic:
        lost = [f"{count:,} {reason}" for (source, reason), count in reading.lost.items() if source == traffic.source and count]
        lag = f"{traffic.lag:,}" if traffic.lag else ""
        rows.append((traffic.source, f"{traffic.lines:,}", lag, ", ".join(lost)))
    choice = reading.choice
    notes = [f"the kernel's words come from {choice.kernel}, programs' from {choice.programs}"]
    notes += [f"{source} is not read: {trouble.detail}" for source, trouble in reading.troubles.items()]
    if not reading.packs_valid:
        notes.append("signature packs have changed and are bad: older ones are in use; `vitald check-config` says what is wrong")
    rows.sort(key=lambda row: (not row[3], not row[2]))
    if len(rows) > _MOST:
        notes.append(f"and {len(rows) - _MOST} more files")
    yield Panel("Logs", ("source", "lines", "bytes behind", "lost"), tuple(rows[:_MOST]), notes=tuple(notes))
