"""Rendezvous hashing: select the peers that an agent probes, in proportion to the zones. Pure.

Highest random weight (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM ToN 6(1), 1998): each agent
ranks all hosts by a hash of its own name and theirs and takes the first k. Every host is so probed by about k agents (binomial), and
a host that joins or leaves changes only the agents that rank it, or its zone's share, among their k.
"""

from __future__ import annotations

from hashlib import blake2b
from heapq import heappush, heapreplace, nlargest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_BYTES = 8  # of a score: two of 10,000 hosts tie once in 3·10¹¹ agents, and then the name decides
_UNIT = 1 << 8 * _BYTES


def choose(me: str, hosts: Iterable[tuple[str, str]], count: int) -> list[str]:
    """Select `count` of the hosts (name, zone) for the agent `me`, which must not be among them; all of them where there are no more.

    The zone is "" where it is not known; a name that occurs twice is one host. The result is sorted and depends on the arguments
    as sets only. Only the best so far are held in memory, however many hosts there are.
    """
    own = blake2b(_bytes(me) + b"\0", digest_size=_BYTES)
    zones: dict[str, _Best] = {}
    for name, zone in hosts:
        score = own.copy()
        score.update(_bytes(name))
        best = zones.get(zone) or zones.setdefault(zone, _Best())
        best.add((score.digest(), name), count)
    share = shares({zone: best.size for zone, best in zones.items()}, count, _phase(me))
    return sorted({name for zone, best in zones.items() for _, name in nlargest(share[zone], best.heap)})


class _Best:
    """The hosts of one zone that rank highest, and the number of all."""

    __slots__ = ("heap", "size")

    def __init__(self) -> None:
        self.heap: list[tuple[bytes, str]] = []
        self.size = 0

    def add(self, scored: tuple[bytes, str], count: int) -> None:
        self.size += 1
        if len(self.heap) < count:
            if scored not in self.heap:
                heappush(self.heap, scored)
        elif scored > self.heap[0] and scored not in self.heap:
            heapreplace(self.heap, scored)


def shares(sizes: Mapping[str, int], count: int, phase: float) -> dict[str, int]:
    """Divide `count` among zones in proportion to their sizes: systematic sampling, where `phase` (0 ≤ phase < 1) rounds.

    Each zone gets its exact share rounded down or up, so often up that the mean over all phases is exact: the load of a host does not
    depend on how big its zone is. No zone gets more than it has.
    """
    total = sum(sizes.values())
    if count >= total:
        return dict(sizes)
    given, before, shares_ = 0, 0, {}
    for zone in sorted(sizes):
        before += sizes[zone]
        upto = min(count, int(before * count / total + phase)) if before < total else count
        shares_[zone] = upto - given
        given = upto
    return shares_


def _phase(me: str) -> float:
    return int.from_bytes(blake2b(_bytes(me), digest_size=_BYTES, person=b"phase").digest(), "big") / _UNIT


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
