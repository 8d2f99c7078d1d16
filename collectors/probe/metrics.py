"""A target's record as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.model import Family, Histogram, Kind, Metric
from collectors.probe.reasons import FAILURES
from collectors.probe.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.probe.record import Record

ATTEMPTS = Family("probe_attempts", Kind.COUNTER, "TCP probes of a target.", ("target",))
FAILED = Family("probe_failures", Kind.COUNTER, "TCP probes that failed, by reason.", ("target", "reason"))
RTT = Family(
    "probe_rtt_seconds", Kind.HISTOGRAM, "The kernel's own time from SYN to SYN-ACK, retransmissions excluded.", ("target",), BUCKETS
)
CONNECT = Family("probe_connect_seconds", Kind.GAUGE, "Time the last successful connect took, retransmissions included.", ("target",))
RETRANSMITS = Family("probe_syn_retransmits", Kind.COUNTER, "SYNs that had to be sent again, failed probes included.", ("target",))
DNS = Family("probe_dns_seconds", Kind.GAUGE, "Time the last look-up of the target's name took.", ("target",))
FILE_VALID = Family("probe_target_file_valid", Kind.GAUGE, "1 if a target file was in order when it was read last.", ("file",))


class Series:
    """One target's series. Metrics are frozen, so those of failures are made anew only when a count has changed."""

    __slots__ = ("_failed", "_label", "_labels", "_reported")

    def __init__(self, target: str) -> None:
        self._label = (target,)
        self._labels = [(target, reason) for reason in FAILURES]
        self._failed: tuple[int, ...] = ()
        self._reported: list[Metric] = []

    def measure(self, record: Record) -> Iterator[Metric]:
        """Give every series the target has; those without a first value yet (connect, DNS) are left out."""
        label = self._label
        yield Metric(ATTEMPTS, record.attempts, label)
        if record.failures is not self._failed:
            self._failed = record.failures
            self._reported = [Metric(FAILED, count, pair) for count, pair in zip(record.failures, self._labels, strict=True)]
        yield from self._reported
        yield Metric(RTT, Histogram(record.rtts, record.rtt_sum), label)
        yield Metric(RETRANSMITS, record.retransmits, label)
        if record.connect_seconds is not None:
            yield Metric(CONNECT, record.connect_seconds, label)
        if record.dns_seconds is not None:
            yield Metric(DNS, record.dns_seconds, label)
