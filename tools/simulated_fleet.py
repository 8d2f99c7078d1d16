"""Simulated fleet: peer selection by the code of the agents, and detection delays. Pure, except for random numbers."""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from collectors.probe import ProbeReading
from collectors.probe.collector import SPREAD
from collectors.probe.connect.result import ProbeResult, Reason
from collectors.probe.judge import LOSSY
from collectors.probe.metrics import measure_reading
from collectors.probe.settings import ProbeSettings
from collectors.probe.target_stats import BUCKETS, WINDOW, TargetStats
from collectors.probe.targets.rendezvous import choose

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    Hosts = list[tuple[str, str]]

LOSS = 0.05
PARALLEL_FROM = 2000  # hosts; smaller fleets are computed in one process

_SETTINGS = ProbeSettings()
K, INTERVAL, TIMEOUT, CRITICAL = _SETTINGS.mesh_peers, _SETTINGS.interval, _SETTINGS.timeout, _SETTINGS.failures_until_critical


class Fleet(NamedTuple):
    """A fleet after peer selection: zone by host, peers by agent, probers by host."""

    zones: dict[str, str]
    peers: dict[str, list[str]]
    probers: dict[str, list[str]]


def hosts(number: int) -> Hosts:
    """Return the given number of hosts in three zones."""
    return [(f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}:22", "abc"[at % 3]) for at in range(number)]


def fleet(members: Hosts) -> Fleet:
    """Return the fleet after the peer selection of every agent."""
    names = [name for name, _ in members]
    if len(members) < PARALLEL_FROM:
        chosen = list(map(peers_of, names, repeat(members)))
    else:
        with ProcessPoolExecutor() as pool:
            chosen = list(pool.map(peers_of, names, repeat(members), chunksize=1250))
    probers: dict[str, list[str]] = {name: [] for name in names}
    for agent, peers in zip(names, chosen, strict=True):
        for peer in peers:
            probers[peer].append(agent)
    return Fleet(dict(members), dict(zip(names, chosen, strict=True)), probers)


def peers_of(agent: str, members: Hosts) -> list[str]:
    """Return the peers of one agent."""
    return choose(agent, [host for host in members if host[0] != agent], K)


def probability_without_prober(number: int) -> float:
    """Return the probability that no agent selects a given host, with uniform random selection."""
    return (1 - min(K, number - 1) / (number - 1)) ** (number - 1)


def series() -> int:
    """Return the number of series of one target: each bucket, sum and count of a histogram is one, and so is the verdict."""
    stats = TargetStats().after(ProbeResult(Reason.ANSWERED, rtt=100, seconds=0.1), 0.0)
    metrics = measure_reading(ProbeReading({"10.0.0.1:22": stats}), ())
    return 1 + sum(len(BUCKETS) + 3 if metric.family.buckets else 1 for metric in metrics)


def earliest(rng: random.Random, probers: Sequence[str], until: Callable[[random.Random], float]) -> float:
    """Return the seconds until the first of these agents reports the fault; infinity without agents."""
    return min((until(rng) for _ in probers), default=math.inf)


def seconds_until_critical(rng: random.Random) -> float:
    """Return the seconds until the verdict of one agent is critical: CRITICAL failed sweeps, the last one published."""
    start, offset = rng.random() * INTERVAL, rng.random() * SPREAD * (INTERVAL - TIMEOUT)
    if start + offset > INTERVAL:  # the probe of this sweep was sent before
        start -= INTERVAL
    return start + (CRITICAL - 1) * INTERVAL + max(SPREAD * (INTERVAL - TIMEOUT), offset + TIMEOUT)


def seconds_until_warning(rng: random.Random) -> float:
    """Return the seconds until LOSSY of the last WINDOW connects of one agent were retransmitted, at a loss ratio of LOSS."""
    lossy = LOSS * (1 - LOSS)  # first SYN lost, second not; the timeout comes before a third
    sweep, hits = 0, list[int]()
    while True:
        sweep += 1 + int(math.log(1.0 - rng.random()) / math.log(1.0 - lossy))
        hits = [hit for hit in hits if sweep - hit < WINDOW] + [sweep]
        if len(hits) >= LOSSY:
            return sweep * INTERVAL
