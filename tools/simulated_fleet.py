"""A fleet whose agents choose their peers by the agents' own code, and how soon those see a fault. Pure, except for random numbers."""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from collectors.probe.collector import SPREAD
from collectors.probe.connect.outcome import Outcome, Reason
from collectors.probe.judge import LOSSY
from collectors.probe.metrics import Series
from collectors.probe.settings import ProbeSettings
from collectors.probe.target_stats import BUCKETS, WINDOW, Record
from collectors.probe.targets.rendezvous import choose

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    Hosts = list[tuple[str, str]]

LOSS = 0.05
MANY = 2000  # hosts, from which on more than one process is worth it

_SETTINGS = ProbeSettings()
K, EVERY, TIMEOUT, CRITICAL = _SETTINGS.mesh_peers, _SETTINGS.interval, _SETTINGS.timeout, _SETTINGS.failures_until_critical


class Fleet(NamedTuple):
    """A fleet whose agents have chosen: zone by host, peers by agent, watchers by host."""

    zones: dict[str, str]
    peers: dict[str, list[str]]
    watchers: dict[str, list[str]]


def hosts(number: int) -> Hosts:
    """Make so many hosts in three zones."""
    return [(f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}:22", "abc"[at % 3]) for at in range(number)]


def fleet(members: Hosts) -> Fleet:
    """Compute every agent's choice with the agent's own code."""
    names = [name for name, _ in members]
    if len(members) < MANY:
        chosen = list(map(peers_of, names, repeat(members)))
    else:
        with ProcessPoolExecutor() as pool:
            chosen = list(pool.map(peers_of, names, repeat(members), chunksize=1250))
    watchers: dict[str, list[str]] = {name: [] for name in names}
    for agent, peers in zip(names, chosen, strict=True):
        for peer in peers:
            watchers[peer].append(agent)
    return Fleet(dict(members), dict(zip(names, chosen, strict=True)), watchers)


def peers_of(agent: str, members: Hosts) -> list[str]:
    """Choose for one agent."""
    return choose(agent, [host for host in members if host[0] != agent], K)


def unwatched(number: int) -> float:
    """Compute the probability that nobody at all chooses a given host, with each agent's choice a fair draw."""
    return (1 - min(K, number - 1) / (number - 1)) ** (number - 1)


def series() -> int:
    """Count the series of one target as Prometheus does: a histogram has a bucket each, a sum and a count. The verdict is one more."""
    record = Record().after(Outcome(Reason.ANSWERED, rtt=100, seconds=0.1), 0.0)
    metrics = list(Series("10.0.0.1:22").measure(record))
    return 1 + sum(len(BUCKETS) + 3 if metric.family.buckets else 1 for metric in metrics)


def first(luck: random.Random, watchers: Sequence[str], until: Callable[[random.Random], float]) -> float:
    """Return the seconds until the first of these agents reports it; infinity where none watches."""
    return min((until(luck) for _ in watchers), default=math.inf)


def until_dead(luck: random.Random) -> float:
    """Return when one agent's verdict is critical: after CRITICAL failed sweeps, the last of them published."""
    start, offset = luck.random() * EVERY, luck.random() * SPREAD * (EVERY - TIMEOUT)
    if start + offset > EVERY:  # this sweep's probe had left before
        start -= EVERY
    return start + (CRITICAL - 1) * EVERY + max(SPREAD * (EVERY - TIMEOUT), offset + TIMEOUT)


def until_lossy(luck: random.Random) -> float:
    """Return when LOSSY of one agent's last WINDOW connects needed a second SYN, for a host that drops a share of LOSS."""
    lossy = LOSS * (1 - LOSS)  # the first SYN lost and the second not: before the timeout there is no third
    sweep, hits = 0, list[int]()
    while True:
        sweep += 1 + int(math.log(1.0 - luck.random()) / math.log(1.0 - lossy))
        hits = [hit for hit in hits if sweep - hit < WINDOW] + [sweep]
        if len(hits) >= LOSSY:
            return sweep * EVERY
