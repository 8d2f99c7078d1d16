"""Did traffic collapse, and is it the network's doing? Pure.

A fall alone is a quiet hour or a job that ended. A stall is a fall to nearly nothing from a recent plateau *and* a second witness of the
same half minute: TX timeouts or driver resets, carrier changes, or TCP sending again much of what it sends.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.model import Level, Verdict
from collectors.nic.allowance import grave, reset

if TYPE_CHECKING:
    from collectors.nic.reading import Nic, Sample

PLATEAU_SECONDS = 120.0  # a plateau is at least that long
RECENT_SECONDS = 30.0  # nearly nothing for that long is a collapse
FLOOR = 250_000.0  # bytes a second (2 Mbit/s); below that nothing is a plateau
FALL = 0.05  # of the plateau
RETRANSMITTED = 0.10  # of the segments sent: healthy networks stay below 1 %, a broken path is far above
RETRANSMISSIONS = 5  # in the recent window; one connection on a dead path makes seven in half a minute (RFC 6298, 5.5)
MANY_RETRANSMISSIONS, TIMES_AS_MANY = 20, 10.0  # or that many, at that many times the plateau's rate


@dataclass(frozen=True, slots=True)
class Fall:
    """Traffic's fall: bytes a second then and now, and who else saw it."""

    plateau: float
    now: float
    witnesses: tuple[str, ...]


def stall_verdict(nic: Nic, samples: tuple[Sample, ...]) -> Verdict:
    """Judge one interface with a device behind it."""
    name = nic.link.name
    fall = fallen(name, samples)
    if fall is None:
        return Verdict("nic_stall", name, Level.HEALTHY)
    evidence = {"plateau_bytes_per_second": round(fall.plateau), "now_bytes_per_second": round(fall.now), "witnesses": fall.witnesses}
    if not fall.witnesses:
        return Verdict("nic_stall", name, Level.HEALTHY, "", evidence)
    text = f"traffic collapsed from {fall.plateau / 1e6:.1f} MB/s to {fall.now / 1e6:.2f} MB/s, and {'; '.join(fall.witnesses)}"
    return Verdict(
        "nic_stall", name, Level.CRITICAL, text, evidence, "dmesg | tail; ethtool -S; then the EC2 status checks of the instance"
    )


def fallen(name: str, samples: tuple[Sample, ...]) -> Fall | None:
    """Find a collapse in the samples; None where traffic is as it was, was never much, or was not seen for long enough."""
    rates = _rates(name, samples)
    if not rates:
        return None
    end = rates[-1][0]
    recent = [rate for at, rate in rates if end - at < RECENT_SECONDS]
    earlier = sorted(rate for at, rate in rates if end - at >= RECENT_SECONDS)
    long_enough = end - RECENT_SECONDS - rates[0][0] >= PLATEAU_SECONDS and len(earlier) >= 4  # noqa: PLR2004
    if not long_enough:
        return None
    plateau, now = earlier[len(earlier) // 2], max(recent)
    if plateau < FLOOR or now > FALL * plateau:
        return None
    return Fall(plateau, now, tuple(_witnesses(name, samples, end)))


def _rates(name: str, samples: tuple[Sample, ...]) -> list[tuple[float, float]]:
    """Give (end, bytes a second) of each pair of neighbours; a counter that fell says nothing of its pair."""
    seen = [(sample.at, sample.traffic[name]) for sample in samples if name in sample.traffic]
    rates = []
    for (began, before), (ended, after) in itertools.pairwise(seen):
        received, sent = after.received - before.received, after.sent - before.sent
        if ended > began and received >= 0 and sent >= 0:
            rates.append((ended, (received + sent) / (ended - began)))
    return rates


def _witnesses(name: str, samples: tuple[Sample, ...], end: float) -> list[str]:
    recent = tuple(sample for sample in samples if end - sample.at <= 2 * RECENT_SECONDS)
    said = []
    causes = grave(reset(name, recent))
    if causes:
        said.append(f"the driver reset itself ({', '.join(causes)})")
    changes = [sample.carrier_changes[name] for sample in recent if name in sample.carrier_changes]
    if changes and changes[-1] > changes[0]:
        said.append(f"the carrier changed {changes[-1] - changes[0]} times")
    if _sending_again(samples, end):
        said.append("TCP sends much of its data again")
    return said


def _sending_again(samples: tuple[Sample, ...], end: float) -> bool:
    """Say whether TCP, over all sockets, sends again a large share of what it sends, or ten times as much as it did on the plateau.

    The share alone would miss it on a host whose loopback is busy. Linux counts retransmissions in OutSegs too (__tcp_transmit_skb).
    """
    seen = [(sample.at, sample.tcp) for sample in samples if sample.tcp is not None]
    recent = [(at, tcp) for at, tcp in seen if end - at <= RECENT_SECONDS]
    if len(recent) < 2:  # noqa: PLR2004 — no interval
        return False
    again, sent = (recent[-1][1].retransmitted - recent[0][1].retransmitted), recent[-1][1].sent - recent[0][1].sent
    if again >= RETRANSMISSIONS and again >= RETRANSMITTED * max(sent, again):
        return True
    before = max(recent[0][1].retransmitted - seen[0][1].retransmitted, 1) / max(recent[0][0] - seen[0][0], 1.0)
    return again >= MANY_RETRANSMISSIONS and again / max(end - recent[0][0], 1.0) >= TIMES_AS_MANY * before
