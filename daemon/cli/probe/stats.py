"""Statistics of `vitald probe`: lines, summaries, a table, JSON and histograms. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from collectors.probe.connect.result import LABELS, ProbeResult, Reason
from collectors.probe.target_stats import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collectors.probe.targets.target import Target

BAR = 40  # characters

_ANSWERED_BY_TARGET = {Reason.ANSWERED, Reason.REFUSED, Reason.RESET}  # a SYN-ACK or a RST: its SYN was not lost
_NO_SYN_SENT = {Reason.DNS_NOT_FOUND, Reason.DNS_TIMEOUT, Reason.DNS_ERROR}


@dataclass
class ProbeStats:
    """Results of all tries of one target."""

    target: Target
    tries: int = 0
    sent: int = 0
    answered: int = 0
    ends: Counter[Reason] = field(default_factory=Counter)
    rtts: list[int] = field(default_factory=list)  # µs
    last: ProbeResult | None = None

    def add(self, result: ProbeResult) -> None:
        """Add one try."""
        sent, answered = syns(result)
        self.tries += 1
        self.sent += sent
        self.answered += answered
        self.ends[result.reason] += 1
        self.last = result
        if result.reason is Reason.ANSWERED and result.rtt:
            self.rtts.append(result.rtt)

    def line(self, result: ProbeResult) -> str:
        """Return a line for the newest try."""
        sent, answered = syns(result)
        parts = [f"{self.target.text}  try {self.tries}  {LABELS[result.reason]}"]
        if result.reason is Reason.ANSWERED:
            parts.append(f"rtt {_ms(result.rtt)} ms" if result.rtt else "rtt unknown (no TCP timestamps)")
        if sent > answered:
            parts.append(f"{sent - answered} of {sent} SYNs lost, {result.seconds:.2f} s")
        if result.router:
            parts.append(f"ICMP error from {result.router}")
        if result.local_error:
            parts.append("local error")
        return "  ".join(parts)

    def summary(self, mark: str) -> Iterator[str]:
        """Return the lines of the summary; bars are made of `mark`."""
        yield f"--- {self.target.text} ---"
        ends = ", ".join(f"{number} {LABELS[reason]}" for reason, number in self.ends.most_common())
        yield f"tries: {self.tries}" + (f" ({ends})" if ends else "")
        yield f"SYNs: {self.sent} sent, {self.answered} answered, {self.lost} lost" + (f" ({self.loss:.1%})" if self.sent else "")
        if self.rtts:
            minimum, median, p99, maximum = (_ms(rtt) for rtt in quantiles(self.rtts))
            yield f"RTT ms: min {minimum}, median {median}, p99 {p99}, max {maximum}"
            yield from histogram(self.rtts, mark)

    def row(self) -> tuple[str, ...]:
        """Return the cells of HEADINGS."""
        state = LABELS[self.last.reason] if self.last else "waiting"
        times = [_ms(rtt) for rtt in quantiles(self.rtts)] if self.rtts else ["-"] * 4
        return self.target.text, str(self.tries), str(self.ends[Reason.ANSWERED]), f"{self.loss:.1%}" if self.sent else "-", *times, state

    def as_json(self) -> dict[str, Any]:
        """Return the summary as JSON; times in seconds, the buckets not cumulative and the last one without a bound."""
        counts = _buckets(self.rtts)
        names = ("min", "median", "p99", "max")
        return {
            "target": self.target.text,
            "host": self.target.host,
            "address": self.target.address.sockaddr[0] if self.target.address else None,
            "tries": self.tries,
            "ends": {LABELS[reason]: number for reason, number in self.ends.most_common()},
            "syns": {"sent": self.sent, "answered": self.answered, "lost": self.lost},
            "rtt_seconds": dict(zip(names, (rtt / 1e6 for rtt in quantiles(self.rtts)), strict=True)) if self.rtts else None,
            "histogram": [{"le": bound, "count": counts[bucket]} for bucket, bound in enumerate((*BUCKETS, None))],
        }

    @property
    def lost(self) -> int:
        """Number of unanswered SYNs."""
        return self.sent - self.answered

    @property
    def loss(self) -> float:
        """Share of unanswered SYNs, 0 to 1."""
        return self.lost / self.sent if self.sent else 0.0


HEADINGS = ("target", "tries", "answered", "SYN loss", "min ms", "median", "p99", "max", "last")


def table(stats: Sequence[ProbeStats]) -> Iterator[str]:
    """Return a table of many targets, a line each, the worst first."""
    rows = [HEADINGS, *(each.row() for each in worst_first(stats))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(HEADINGS) - 1
    for row in rows:
        sized = enumerate(zip(row, widths, strict=True))
        cells = [cell.ljust(width) if at in {0, last} else cell.rjust(width) for at, (cell, width) in sized]
        yield "  ".join(cells).rstrip()


def worst_first(stats: Sequence[ProbeStats]) -> list[ProbeStats]:
    """Sort by failures, then by lost SYNs."""
    return sorted(stats, key=lambda each: (each.ends[Reason.ANSWERED] - each.tries, -each.lost))


def quantiles(rtts: Sequence[int]) -> tuple[int, int, int, int]:
    """Return minimum, median, 99th percentile and maximum, by nearest rank."""
    ordered = sorted(rtts)
    median, p99 = (ordered[math.ceil(len(ordered) * share) - 1] for share in (0.5, 0.99))
    return ordered[0], median, p99, ordered[-1]


def syns(result: ProbeResult) -> tuple[int, int]:
    """Return the SYNs of one try: how many were sent, and how many of them the target answered (with SYN-ACK or RST)."""
    if result.local_error or result.reason in _NO_SYN_SENT:
        return 0, 0
    return 1 + result.retransmits, int(result.reason in _ANSWERED_BY_TARGET)


def histogram(rtts: Sequence[int], mark: str) -> Iterator[str]:
    """Draw RTTs (µs) in the metric's own buckets, from the first to the last that holds any."""
    counts = _buckets(rtts)
    largest = max(counts.values())
    for bucket in range(min(counts), max(counts) + 1):
        bound = f"<= {BUCKETS[bucket] * 1e3:g}" if bucket < len(BUCKETS) else f"> {BUCKETS[-1] * 1e3:g}"
        yield f"  {bound:>8} ms  {mark * math.ceil(counts[bucket] / largest * BAR):<{BAR}}  {counts[bucket]}"


def _buckets(rtts: Sequence[int]) -> Counter[int]:
    return Counter(bisect_left(BUCKETS, rtt * 1e-6) for rtt in rtts)


def _ms(microseconds: int) -> str:
    return f"{microseconds / 1e3:.3f}"
