"""Did traffic collapse, and is it the network's doing? Pure.

A fall alone is a quiet hour or a job that ended. A stall is a fall to nearly nothing from a recent plateau *and* a second witness of the
same time: TX timeouts or driver resets, carrier changes, TCP sending again much of what it sends, or connections that get no answer,
vitald's own probes among them.
"""

from __future__ import annotations

import itertools
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.model import Level, Verdict
from collectors.nic.checks.allowance import grave, reset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.readers.tcp_counters import Tcp
    from collectors.nic.reading import Nic, Sample

PLATEAU_SECONDS = 120.0  # a plateau is at least that long
RECENT_SECONDS = 30.0  # nearly nothing for that long is a collapse
FLOOR = 250_000.0  # bytes a second (2 Mbit/s); below that nothing is a plateau
FALL = 0.05  # of the plateau
RETRANSMITTED = 0.10  # of the segments sent: healthy networks stay below 1 %, a broken path is far above
RETRANSMISSIONS = 5  # one connection on a dead path makes six or seven in the first half minute, and hardly any later (RFC 6298, 5.5)
UNANSWERED = 0.5  # SYNs sent again for each connection begun: one dead peer among many probed is far below
TIMES_AS_UNANSWERED = 3.0  # and that many times the plateau's: a peer that has been dead all along says nothing new
MANY_RETRANSMISSIONS, TIMES_AS_MANY = 20, 10.0  # or that many, at that many times the plateau's rate
_REMEDIATION = "dmesg | tail; ip -s link show {0}; ethtool -S {0}; then the instance's status checks, and whoever runs the other end"


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
    return Verdict("nic_stall", name, Level.CRITICAL, text, evidence, _REMEDIATION.format(shlex.quote(name)))


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
    began = max((at for at, rate in rates if rate > FALL * plateau), default=rates[0][0])
    return Fall(plateau, now, tuple(_witnesses(name, samples, began)))


def _rates(name: str, samples: tuple[Sample, ...]) -> list[tuple[float, float]]:
    """Give (end, bytes a second) of each pair of neighbours; a counter that fell says nothing of its pair."""
    seen = [(sample.at, sample.traffic[name]) for sample in samples if name in sample.traffic]
    rates = []
    for (began, before), (ended, after) in itertools.pairwise(seen):
        received, sent = after.received - before.received, after.sent - before.sent
        if ended > began and received >= 0 and sent >= 0:
            rates.append((ended, (received + sent) / (ended - began)))
    return rates


def _witnesses(name: str, samples: tuple[Sample, ...], began: float) -> list[str]:
    """Ask who else saw it; `began` is the last look at which traffic still flowed."""
    recent = tuple(sample for sample in samples if sample.at >= began - RECENT_SECONDS)
    said = []
    causes = grave(reset(name, recent, recent[-1].at - recent[0].at))
    if causes:
        said.append(f"the driver reset itself ({', '.join(causes)})")
    changes = [sample.carrier_changes[name] for sample in recent if name in sample.carrier_changes]
    if changes and changes[-1] > changes[0]:
        said.append(f"the carrier changed {'once' if changes[-1] == changes[0] + 1 else f'{changes[-1] - changes[0]} times'}")
    return said + list(_unanswered([(sample.at, sample.tcp) for sample in samples if sample.tcp is not None], began))


def _unanswered(seen: list[tuple[float, Tcp]], began: float) -> Iterator[str]:
    """Say what TCP, over all sockets, gets no answer to since the fall began: data, or connections it would begin.

    A connection sends again ever more seldom, so it is the beginning of the fall that tells, not the last half minute.
    """
    since = [(at, tcp) for at, tcp in seen if at >= began]
    if len(since) < 2:  # noqa: PLR2004 — no interval
        return
    (start, first), (end, last) = since[0], since[-1]
    seconds, earlier = max(end - start, 1.0), max(start - seen[0][0], 1.0)
    again, sent = last.data_again - first.data_again, last.sent - first.sent
    before = max(first.data_again - seen[0][1].data_again, 1) / earlier
    much = again >= RETRANSMISSIONS and again >= RETRANSMITTED * (sent + again)
    if much or (again >= MANY_RETRANSMISSIONS and again / seconds >= TIMES_AS_MANY * before):
        yield f"TCP sent {again} segments again in {seconds:.0f} s"
    again, opened = last.syns_again - first.syns_again, last.opened - first.opened
    before = max(first.syns_again - seen[0][1].syns_again, 0) / earlier
    if again >= RETRANSMISSIONS and again >= UNANSWERED * max(opened, 1) and again / seconds >= TIMES_AS_UNANSWERED * before:
        yield f"{again} SYNs had to be sent again for {opened} new connections"
