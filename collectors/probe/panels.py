"""Panel of all targets, for the status page and `vitald check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.panel import Panel, Sparkline
from collectors.probe.connect.result import LABELS, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.probe.target_stats import TargetStats

COLUMNS = ("target", "last probe", "RTT", "median RTT", "retransmitted SYNs", "RTTs of the last sweeps")


def targets_panel(stats: Mapping[str, TargetStats]) -> Panel:
    """Return the table of all targets: failing ones first, then those that lose SYNs, then by name."""
    order = sorted(stats.items(), key=lambda item: (-item[1].in_a_row, -item[1].lossy, item[0]))
    return Panel("Targets", COLUMNS, tuple(_row(target, found) for target, found in order))


def _row(target: str, stats: TargetStats) -> tuple[str | Sparkline, ...]:
    last = stats.last
    if last is None:
        return target, "not probed yet", "", "", "", ""
    state = LABELS[last.reason].replace("_", " ") + (" (local error)" if last.local_error else "")
    rtt = _milliseconds(last.rtt * 1e-6) if last.reason is Reason.ANSWERED and last.rtt else ""
    lost, median, round_trips = stats.lost_syns(), stats.median(), stats.round_trips()
    answered = [value for value in round_trips if value is not None]
    span = f"{_milliseconds(min(answered))} to {_milliseconds(max(answered))}" if answered else "no answer"
    line = Sparkline(round_trips, f"{span}; {stats.window - len(answered)} of {stats.window} sweeps without an answer")
    retransmitted = f"{lost} in {stats.window} sweeps" if lost else ""
    return target, state, rtt, "" if median is None else _milliseconds(median), retransmitted, line


def _milliseconds(seconds: float) -> str:
    """Format a round trip: three significant digits, none finer than the kernel's microsecond."""
    return f"{round(seconds * 1000, 3):.3g} ms"
