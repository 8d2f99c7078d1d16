"""Statistics of one target: running totals, and the last sweeps in two bytes each."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from math import log2
from typing import NamedTuple

from collectors.probe.connect.result import FAILURES, ProbeResult, Reason

WINDOW = 120  # sweeps
# seconds: from a host in the same rack to a SYN-ACK that took all the retransmissions there are
BUCKETS = (20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

_LOCAL = 0x10  # first byte of a sweep: the reason, this bit for a local error, and the retransmitted SYNs (7: or more) on top
_RETRANSMIT_SHIFT = 5
_MAX_RETRANSMITS = 7
_REASON = 0x0F
_STEPS = 10  # of the second byte for a doubling of the RTT: 7 % each, up to 46 s; 0: no RTT
_NEWEST = 2 - 2 * WINDOW  # what stays of a full window: two bytes less


class TargetStats(NamedTuple):
    """A target's totals since it was listed; `after()` returns the next ones.

    `failures` are counted in the order of FAILURES, `rtts` by bucket (the last is +Inf's). `in_a_row` counts failed sweeps up to
    now, `since` (Unix time) is the time of the first; a local error neither adds to it nor ends it. `lossy` counts the connects
    of the window that succeeded with the help of a retransmission. `sweeps` holds two bytes for each sweep of the window.
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
    sweeps: bytes = b""
    last: ProbeResult | None = None

    def after(self, result: ProbeResult, at: float, dns_seconds: float | None = None) -> TargetStats:
        """Add one probe that ended at Unix time `at`. Called once for each target in each sweep."""
        reason, local_error, _, rtt, retransmits, seconds, _ = result
        attempts, failures, rtts, rtt_sum, all_retransmits, connect_seconds, _, in_a_row, since, lossy, sweeps, _ = self
        bucket, entry = _encode(rtt, reason | local_error << 4 | min(retransmits, _MAX_RETRANSMITS) << _RETRANSMIT_SHIFT)
        if lossy and len(sweeps) == 2 * WINDOW:
            lossy -= _is_lossy(sweeps[0])
        if not reason:
            in_a_row, since, connect_seconds = 0, 0.0, seconds
            if retransmits:
                lossy += 1
            if rtt:
                counts = list(rtts)
                counts[bucket] += 1
                rtts, rtt_sum = tuple(counts), rtt_sum + rtt * 1e-6
        else:
            failures = (*failures[: reason - 1], failures[reason - 1] + 1, *failures[reason:])
            if not local_error:
                in_a_row, since = in_a_row + 1, since or at
        return TargetStats(
            attempts + 1, failures, rtts, rtt_sum, all_retransmits + retransmits,
            connect_seconds, dns_seconds, in_a_row, since, lossy, sweeps[_NEWEST:] + entry, result,
        )  # fmt: skip

    @property
    def window(self) -> int:
        """Number of sweeps in the window."""
        return len(self.sweeps) // 2

    def round_trips(self) -> tuple[float | None, ...]:
        """Return the window's round trips in seconds, oldest first, within 4 %; None for a sweep without an RTT."""
        return tuple(2 ** ((step - 1) / _STEPS) * 1e-6 if step else None for step in self.sweeps[1::2])

    def median(self) -> float | None:
        """Return the median round trip of the window in seconds, within 4 %."""
        steps = sorted(filter(None, self.sweeps[1::2]))
        return 2 ** ((steps[len(steps) // 2] - 1) / _STEPS) * 1e-6 if steps else None

    def recent_failures(self) -> dict[str, int]:
        """Count the failures in a row by reason, as far back as the window goes, the newest reason first."""
        counts: dict[str, int] = {}
        for byte in self.sweeps[-2::-2]:
            if byte & _REASON == Reason.ANSWERED:
                break
            if not byte & _LOCAL:
                label = FAILURES[(byte & _REASON) - 1]
                counts[label] = counts.get(label, 0) + 1
        return counts

    def newest(self, count: int) -> list[Reason]:
        """Return the reasons of the newest sweeps, the newest last."""
        return [Reason(byte & _REASON) for byte in self.sweeps[-2 * count :: 2]]

    def lost_syns(self) -> int:
        """Count the retransmitted SYNs of the window's successful connects."""
        return sum(byte >> _RETRANSMIT_SHIFT for byte in self.sweeps[::2] if _is_lossy(byte))


@lru_cache(maxsize=4096)
def _encode(rtt: int, byte: int) -> tuple[int, bytes]:
    """Return the histogram bucket of an RTT in µs, and the two bytes of its sweep."""
    step = min(255, 1 + round(_STEPS * log2(rtt))) if rtt else 0
    return bisect_left(BUCKETS, rtt * 1e-6), bytes((byte, step))


def _is_lossy(byte: int) -> bool:
    return not byte & _REASON and byte > _REASON
