"""What is remembered of a target: running totals, and the last sweeps in two bytes each."""

from __future__ import annotations

from bisect import bisect_left
from math import log2
from typing import NamedTuple

from collectors.probe.connect.outcome import FAILURES, Outcome, Reason

WINDOW = 120  # sweeps
BUCKETS = (  # seconds: from a neighbour in the same rack to a SYN-ACK that took all the retransmissions there are
    *(20e-6, 50e-6, 100e-6, 200e-6, 500e-6),
    *(1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0),
)

_OWN = 0x10  # a byte of the window: the reason, this bit for our own fault, and the SYNs sent again (7 stands for more) on top
_RETRANSMIT_SHIFT = 5
_MOST_RETRANSMITS = 7
_REASON = 0x0F
_STEPS = 10  # of a byte of the course to a doubling of the round trip: 7 % each, up to 46 s


class Record(NamedTuple):
    """A target's totals since it came onto the list; `after()` makes the next one.

    `failures` are counted in the order of FAILURES, `rtts` per bucket (the last is +Inf's). `in_a_row` counts failed sweeps up to
    now, `since` (Unix time) says when that began; what was our own fault neither adds to it nor ends it. `lossy` counts the
    connects of the window that succeeded with the help of a retransmission. `course` holds the window's round trips on a scale of logs.
    """

    attempts: int = 0
    failures: tuple[int, ...] = (0,) * len(FAILURES)
    rtts: tuple[int, ...] = (0,) * (len(BUCKETS) + 1)
    rtt_sum: float = 0.0
    retransmits: int = 0
    connect_seconds: float | None = None
    dns_seconds: float | None = None
    in_a_row: int = 0
    since: float = 0.0
    lossy: int = 0
    window: bytes = b""
    course: bytes = b""
    last: Outcome | None = None

    def after(self, outcome: Outcome, at: float, dns_seconds: float | None = None) -> Record:
        """Add one probe that ended at Unix time `at`."""
        reason, own_fault, _, rtt, retransmits, seconds, _ = outcome
        window, lossy = self.window, self.lossy
        byte = reason | own_fault << 4 | min(retransmits, _MOST_RETRANSMITS) << _RETRANSMIT_SHIFT
        if len(window) == WINDOW:
            lossy -= _is_lossy(window[0])
        window = window[1 - WINDOW :] + bytes((byte,))
        lossy += _is_lossy(byte)
        course = self.course[1 - WINDOW :] + bytes((min(255, 1 + round(_STEPS * log2(rtt))) if rtt else 0,))
        failures, rtts, rtt_sum, connect_seconds = self.failures, self.rtts, self.rtt_sum, self.connect_seconds
        in_a_row, since = self.in_a_row, self.since
        if reason is Reason.ANSWERED:
            in_a_row, since, connect_seconds = 0, 0.0, seconds
            if rtt:
                bucket = bisect_left(BUCKETS, rtt * 1e-6)
                rtts = (*rtts[:bucket], rtts[bucket] + 1, *rtts[bucket + 1 :])
                rtt_sum += rtt * 1e-6
        else:
            failures = (*failures[: reason - 1], failures[reason - 1] + 1, *failures[reason:])
            if not own_fault:
                in_a_row, since = in_a_row + 1, since or at
        return Record(
            self.attempts + 1, failures, rtts, rtt_sum, self.retransmits + retransmits,
            connect_seconds, dns_seconds, in_a_row, since, lossy, window, course, outcome,
        )  # fmt: skip

    def round_trips(self) -> tuple[float | None, ...]:
        """Give the window's round trips in seconds, oldest first, within 4 %; None where the kernel took none: nothing was answered."""
        return tuple(2 ** ((step - 1) / _STEPS) * 1e-6 if step else None for step in self.course)

    def median(self) -> float | None:
        """Give the median round trip of the window, in seconds, within 4 %."""
        known = sorted(filter(None, self.course))
        return 2 ** ((known[len(known) // 2] - 1) / _STEPS) * 1e-6 if known else None

    def recent(self) -> dict[str, int]:
        """Count the failures of the present row by reason, as far back as the window goes; the newest reason comes first."""
        found: dict[str, int] = {}
        for byte in reversed(self.window):
            if byte & _REASON == Reason.ANSWERED:
                break
            if not byte & _OWN:
                label = FAILURES[(byte & _REASON) - 1]
                found[label] = found.get(label, 0) + 1
        return found

    def newest(self, count: int) -> list[Reason]:
        """Give the ends of the newest sweeps, the newest last."""
        return [Reason(byte & _REASON) for byte in self.window[-count:]]

    def lost(self) -> int:
        """Count the SYNs of the window's successful connects that had to be sent again."""
        return sum(byte >> _RETRANSMIT_SHIFT for byte in self.window if _is_lossy(byte))


def _is_lossy(byte: int) -> bool:
    return not byte & _REASON and byte > _REASON
