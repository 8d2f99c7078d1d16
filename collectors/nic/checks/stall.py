"""Check `nic_stall`: throughput collapsed because of the network. Pure.

A collapse alone is a quiet hour or a job that ended. A stall is a collapse from a recent plateau *and* a second indicator of the same
time: TX timeouts or driver resets, carrier changes, many TCP retransmissions, or connections without an answer, vitald's own probes among
them.
"""

from __future__ import annotations

import itertools
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.model import Level, Verdict
from collectors.nic.samples import critical_resets, reset_increases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.readers.tcp_counters import TcpCounters
    from collectors.nic.reading import Nic
    from collectors.nic.samples import Sample

PLATEAU_SECONDS = 120.0  # the shortest plateau
COLLAPSE_SECONDS = 30.0  # the shortest collapse
MIN_PLATEAU = 250_000.0  # bytes per second (2 Mbit/s); less is no plateau
COLLAPSE_RATIO = 0.05  # of the plateau
RETRANS_RATIO = 0.10  # of the segments sent: healthy networks stay below 1 %, a broken path is far above
MIN_RETRANS = 5  # one connection on a dead path makes six or seven in the first half minute, and hardly any later (RFC 6298, 5.5)
SYN_RETRANS_RATIO = 0.5  # of the connections begun: one dead peer among many probed is far below
SYN_RETRANS_GROWTH = 3.0  # times the plateau's rate: a peer that has been dead all along is no new indicator
MANY_RETRANS, RETRANS_GROWTH = 20, 10.0  # or that many, at that many times the plateau's rate
_REMEDIATION = "dmesg | tail; ip -s link show {0}; ethtool -S {0}; then the instance's status checks, and the other end's operator"


@dataclass(frozen=True, slots=True)
class Collapse:
    """Bytes per second before and now, and other indicators of the same time."""

    plateau: float
    now: float
    indicators: tuple[str, ...]


def stall_verdict(nic: Nic, samples: tuple[Sample, ...]) -> Verdict:
    """Judge one interface with a device."""
    name = nic.link.name
    if (collapse := find_collapse(name, samples)) is None:
        return Verdict("nic_stall", name, Level.HEALTHY)
    plateau, now, indicators = collapse.plateau, collapse.now, collapse.indicators
    evidence = {"plateau_bytes_per_second": round(plateau), "now_bytes_per_second": round(now), "indicators": indicators}
    if not indicators:
        return Verdict("nic_stall", name, Level.HEALTHY, "", evidence)
    text = f"traffic collapsed from {plateau / 1e6:.1f} MB/s to {now / 1e6:.2f} MB/s, and {'; '.join(indicators)}"
    return Verdict("nic_stall", name, Level.CRITICAL, text, evidence, _REMEDIATION.format(shlex.quote(name)))


def find_collapse(name: str, samples: tuple[Sample, ...]) -> Collapse | None:
    """Return the collapse that the samples show; None where throughput is as before, was never high, or the samples are too few."""
    if not (rates := _rates(name, samples)):
        return None
    end = rates[-1][0]
    recent = [rate for at, rate in rates if end - at < COLLAPSE_SECONDS]
    earlier = sorted(rate for at, rate in rates if end - at >= COLLAPSE_SECONDS)
    long_enough = end - COLLAPSE_SECONDS - rates[0][0] >= PLATEAU_SECONDS and len(earlier) >= 4  # noqa: PLR2004
    if not long_enough:
        return None
    plateau, now = earlier[len(earlier) // 2], max(recent)
    if plateau < MIN_PLATEAU or now > COLLAPSE_RATIO * plateau:
        return None
    began = max((at for at, rate in rates if rate > COLLAPSE_RATIO * plateau), default=rates[0][0])
    return Collapse(plateau, now, tuple(_indicators(name, samples, began)))


def _rates(name: str, samples: tuple[Sample, ...]) -> list[tuple[float, float]]:
    """Return (end, bytes per second) of each pair of consecutive samples; a pair with a counter that fell is left out."""
    counted = [(sample.at, sample.byte_counters[name]) for sample in samples if name in sample.byte_counters]
    rates = []
    for (began, before), (ended, after) in itertools.pairwise(counted):
        rx_bytes, tx_bytes = after.rx_bytes - before.rx_bytes, after.tx_bytes - before.tx_bytes
        if ended > began and rx_bytes >= 0 and tx_bytes >= 0:
            rates.append((ended, (rx_bytes + tx_bytes) / (ended - began)))
    return rates


def _indicators(name: str, samples: tuple[Sample, ...], began: float) -> Iterator[str]:
    """Return other indicators of the collapse; `began` is the last sample's time with traffic."""
    recent = tuple(sample for sample in samples if sample.at >= began - COLLAPSE_SECONDS)
    if resets := critical_resets(reset_increases(name, recent, recent[-1].at - recent[0].at)):
        yield f"driver resets or TX timeouts ({', '.join(resets)})"
    changes = [sample.carrier_changes[name] for sample in recent if name in sample.carrier_changes]
    if changes and changes[-1] > changes[0]:
        yield f"the carrier changed {'once' if changes[-1] == changes[0] + 1 else f'{changes[-1] - changes[0]} times'}"
    yield from _tcp_indicators([(sample.at, sample.tcp) for sample in samples if sample.tcp is not None], began)


def _tcp_indicators(counted: list[tuple[float, TcpCounters]], began: float) -> Iterator[str]:
    """Return what TCP, over all sockets, got no answer to since the collapse began: data, or new connections.

    A connection retransmits at growing intervals, so the beginning of the collapse counts, not the last half minute.
    """
    since = [(at, tcp) for at, tcp in counted if at >= began]
    if len(since) < 2:  # noqa: PLR2004 — no interval
        return
    (start, first), (end, last) = since[0], since[-1]
    seconds, earlier = max(end - start, 1.0), max(start - counted[0][0], 1.0)
    retrans, sent = last.data_retrans - first.data_retrans, last.out_segs - first.out_segs
    plateau_rate = max(first.data_retrans - counted[0][1].data_retrans, 1) / earlier
    is_large_share = retrans >= MIN_RETRANS and retrans >= RETRANS_RATIO * (sent + retrans)
    if is_large_share or (retrans >= MANY_RETRANS and retrans / seconds >= RETRANS_GROWTH * plateau_rate):
        yield f"TCP retransmitted {retrans} segments in {seconds:.0f} s"
    syns, opened = last.syn_retrans - first.syn_retrans, last.active_opens - first.active_opens
    plateau_rate = max(first.syn_retrans - counted[0][1].syn_retrans, 0) / earlier
    if syns >= MIN_RETRANS and syns >= SYN_RETRANS_RATIO * max(opened, 1) and syns / seconds >= SYN_RETRANS_GROWTH * plateau_rate:
        yield f"{syns} SYNs were retransmitted for {opened} new connections"
