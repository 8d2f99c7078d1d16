"""A target's record as a row that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.panel import Panel, Sparkline
from collectors.probe.connect.outcome import LABELS, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.probe.target_stats import Record

COLUMNS = ("target", "now", "round trip", "median", "SYNs sent again", "round trips of the last sweeps")


def targets(records: Mapping[str, Record]) -> Panel:
    """Give the table of all targets: those that fail first, then those that lose SYNs, then by name."""
    order = sorted(records.items(), key=lambda item: (-item[1].in_a_row, -item[1].lossy, item[0]))
    return Panel("Targets", COLUMNS, tuple(_row(target, record) for target, record in order))


def _row(target: str, record: Record) -> tuple[str | Sparkline, ...]:
    last = record.last
    if last is None:
        return target, "not probed yet", "", "", "", ""
    now = LABELS[last.reason].replace("_", " ") + (" (this host's own fault)" if last.own_fault else "")
    rtt = milliseconds(last.rtt * 1e-6) if last.reason is Reason.ANSWERED and last.rtt else ""
    again = f"{record.lost()} of {len(record.window)} sweeps" if record.lost() else ""
    median = record.median()
    known = [value for value in record.round_trips() if value is not None]
    label = f"{milliseconds(min(known))} to {milliseconds(max(known))}" if known else "no answer"
    course = Sparkline(record.round_trips(), f"{label}; {len(record.window) - len(known)} of {len(record.window)} sweeps without an answer")
    return target, now, rtt, "" if median is None else milliseconds(median), again, course


def milliseconds(seconds: float) -> str:
    """Write a round trip for people: three digits that count, none finer than the kernel's microsecond."""
    return f"{round(seconds * 1000, 3):.3g} ms"
