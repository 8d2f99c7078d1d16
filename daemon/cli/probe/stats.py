"""What became of the tries of `vitald probe`, in numbers, in words and as a histogram. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from collectors.probe.connect.outcome import LABELS, Outcome, Reason
from collectors.probe.target_stats import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collectors.probe.targets.target import Target

BAR = 40  # characters

_BY_THE_TARGET = {Reason.ANSWERED, Reason.REFUSED, Reason.RESET}  # a SYN-ACK or a RST: its SYN was not lost
_NO_SYN_LEFT = {Reason.DNS_NOT_FOUND, Reason.DNS_TIMEOUT, Reason.DNS_ERROR}


@dataclass
class Tally:
    """What became of the tries of one target."""

    target: Target
    tries: int = 0
    sent: int = 0
    answered: int = 0
    ends: Counter[Reason] = field(default_factory=Counter)
    rtts: list[int] = field(default_factory=list)  # µs
    last: Outcome | None = None

    def add(self, outcome: Outcome) -> None:
        """Count one try in."""
        sent, answered = syns(outcome)
        self.tries += 1
        self.sent += sent
        self.answered += answered
        self.ends[outcome.reason] += 1
        self.last = outcome
        if outcome.reason is Reason.ANSWERED and outcome.rtt:
            self.rtts.append(outcome.rtt)

    def line(self, outcome: Outcome) -> str:
        """Say how the newest try ended."""
        sent, answered = syns(outcome)
        words = [f"{self.target.text}  try {self.tries}  {LABELS[outcome.reason]}"]
        if outcome.reason is Reason.ANSWERED:
            words.append(f"rtt {_ms(outcome.rtt)} ms" if outcome.rtt else "rtt unknown (no TCP timestamps)")
        if sent > answered:
            words.append(f"{sent - answered} of {sent} SYNs lost, {outcome.seconds:.2f} s")
        if outcome.router:
            words.append(f"{outcome.router} says so")
        if outcome.own_fault:
            words.append("this host's own fault")
        return "  ".join(words)

    def summary(self, mark: str) -> Iterator[str]:
        """Sum all tries up, a line at a time; `mark` is what bars are made of."""
        yield f"--- {self.target.text} ---"
        ends = ", ".join(f"{number} {LABELS[reason]}" for reason, number in self.ends.most_common())
        yield f"tries: {self.tries}" + (f" ({ends})" if ends else "")
        yield f"SYNs: {self.sent} sent, {self.answered} answered, {self.lost} lost" + (f" ({self.loss:.1%})" if self.sent else "")
        if self.rtts:
            least, middle, last, most = (_ms(rtt) for rtt in quantiles(self.rtts))
            yield f"RTT ms: min {least}, median {middle}, p99 {last}, max {most}"
            yield from histogram(self.rtts, mark)

    def row(self) -> tuple[str, ...]:
        """Say the same in the cells of HEADINGS."""
        state = LABELS[self.last.reason] if self.last else "waiting"
        times = [_ms(rtt) for rtt in quantiles(self.rtts)] if self.rtts else ["-"] * 4
        return self.target.text, str(self.tries), str(self.ends[Reason.ANSWERED]), f"{self.loss:.1%}" if self.sent else "-", *times, state

    def as_json(self) -> dict[str, Any]:
        """Give the same for programs; times in seconds, the buckets not cumulative and the last one without a bound."""
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
        """The SYNs that nobody answered."""
        return self.sent - self.answered

    @property
    def loss(self) -> float:
        """Their share."""
        return self.lost / self.sent if self.sent else 0.0


HEADINGS = ("target", "tries", "answered", "SYN loss", "min ms", "median", "p99", "max", "last")


def table(tallies: Sequence[Tally]) -> Iterator[str]:
    """Sum many targets up, a line each, the worst first."""
    rows = [HEADINGS, *(tally.row() for tally in worst_first(tallies))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(HEADINGS) - 1
    for row in rows:
        sized = enumerate(zip(row, widths, strict=True))
        cells = [cell.ljust(width) if at in {0, last} else cell.rjust(width) for at, (cell, width) in sized]
        yield "  ".join(cells).rstrip()


def worst_first(tallies: Sequence[Tally]) -> list[Tally]:
    """Sort by failures, then by lost SYNs."""
    return sorted(tallies, key=lambda tally: (tally.ends[Reason.ANSWERED] - tally.tries, -tally.lost))


def quantiles(rtts: Sequence[int]) -> tuple[int, int, int, int]:
    """Give the least, the median, the 99th percentile and the most, by nearest rank."""
    ordered = sorted(rtts)
    middle, last = (ordered[math.ceil(len(ordered) * share) - 1] for share in (0.5, 0.99))
    return ordered[0], middle, last, ordered[-1]


def syns(outcome: Outcome) -> tuple[int, int]:
    """Count the SYNs of one try: how many left this host, and how many of them the target answered (with SYN-ACK or RST)."""
    if outcome.own_fault or outcome.reason in _NO_SYN_LEFT:
        return 0, 0
    return 1 + outcome.retransmits, int(outcome.reason in _BY_THE_TARGET)


def histogram(rtts: Sequence[int], mark: str) -> Iterator[str]:
    """Draw RTTs (µs) in the metric's own buckets, from the first to the last that holds any."""
    counts = _buckets(rtts)
    most = max(counts.values())
    for bucket in range(min(counts), max(counts) + 1):
        bound = f"<= {BUCKETS[bucket] * 1e3:g}" if bucket < len(BUCKETS) else f"> {BUCKETS[-1] * 1e3:g}"
        yield f"  {bound:>8} ms  {mark * math.ceil(counts[bucket] / most * BAR):<{BAR}}  {counts[bucket]}"


def _buckets(rtts: Sequence[int]) -> Counter[int]:
    return Counter(bisect_left(BUCKETS, rtt * 1e-6) for rtt in rtts)


def _ms(microseconds: int) -> str:
    return f"{microseconds / 1e3:.3f}"
