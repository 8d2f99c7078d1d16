"""Panel of the log sources: what was read and lost, what is missing, and why others are not read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.panel import Panel
from collectors.text import ISO, utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.logs.reading import LogsReading

MAX_ROWS = 20
MAX_LAG_BYTES = 64 << 20  # as the alert LogsLagging
LOSSES = {  # reason: what is counted, and what happened to it
    "overrun": "records overwritten in the kernel's buffer before they were read",
    "truncated": "truncations of the file before it was read to the end",
    "rotated": "rotated files that were not found again",
    "oversize": "lines too long to be read whole",
    "vacuumed": "saved positions that the journal no longer has",
    "unreadable": "files or records that could not be read",
    "skipped": "new files of which only the last GiB was read",
    "too_many": "files beyond the limit",
}


def sources_panel(reading: LogsReading) -> Panel:
    """Return the table of sources, those with losses and those behind first."""
    rows = []
    for source, lines, _, lag in reading.stats:
        lost = [f"{count:,} {reason}" for (losing, reason), count in reading.lost.items() if losing == source and count]
        rows.append((source, f"{lines:,}", f"{lag:,}" if lag else "", ", ".join(lost)))
    rows.sort(key=lambda row: (not row[3], not row[2]))
    notes = [f"kernel lines are read from {reading.selection.kernel}, programs' lines from {reading.selection.programs}"]
    notes += [f"{source} is not read: {unavailable.detail}" for source, unavailable in reading.unavailable.items()]
    if len(rows) > MAX_ROWS:
        notes.append(f"and {len(rows) - MAX_ROWS} more files")
    columns = ("source", "lines", "bytes behind", "lost")
    return Panel("Logs", columns, tuple(rows[:MAX_ROWS]), notes=tuple(notes), warnings=tuple(_warnings(reading)))


def _warnings(reading: LogsReading) -> Iterator[str]:
    """Yield why faults in the logs may be missing now."""
    for (source, reason), at in sorted(reading.lost_at.items(), key=lambda item: -item[1]):
        total = reading.lost.get((source, reason), 0)
        what = LOSSES.get(reason, reason)
        yield f"log messages lost: {source}: {total:,} {what} ({reason}), last at {utc(at, ISO)}; faults among them are not reported"
    for source, _, _, lag in reading.stats:
        if lag is not None and lag > MAX_LAG_BYTES:
            yield f"log source behind: {source}: {lag / (1 << 20):,.0f} MiB are not read yet; faults in them are reported late"
    if not reading.packs_valid:
        yield "signature packs on disk are invalid, the previous ones are in use; run vitald check-config"
