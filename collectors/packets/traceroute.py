"""A TCP traceroute to the port that is probed, and a bare half-open SYN to it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from collectors.packets.protocol import Answer, Shot

if TYPE_CHECKING:
    from collectors.packets.protocol import Play

MOST_HOPS = 30
SILENT_HOPS = 4  # in a row: then nobody further on says anything either
HOP_TRIES, HOP_WAIT = 2, 0.3  # seconds; routers answer late, and only so often (RFC 1812 4.3.2.8)
SYN_TRIES, SYN_WAIT = 3, 0.5


class Hop(NamedTuple):
    """Who answered at one distance: the address (empty for nobody) and the round trip in µs."""

    ttl: int
    address: str
    rtt: int


class Trace(NamedTuple):
    """The routers on the way, as far as they answer, and how it ended: an answer's `kind`, and who gave it."""

    hops: tuple[Hop, ...]
    end: str
    sender: str

    @property
    def last(self) -> Hop | None:
        """Give the last hop that answered."""
        return next((hop for hop in reversed(self.hops) if hop.address), None)


class Look(NamedTuple):
    """What came of the half-open SYN, and the way there."""

    syn: Answer
    trace: Trace


def half_open(tries: int = SYN_TRIES, wait: float = SYN_WAIT) -> Play[Answer]:
    """Send a bare SYN and, whatever comes, a RST."""
    return (yield Shot(0, tries, wait))


def trace() -> Play[Trace]:
    """Let the SYN go one hop further each time; one port and one sequence number, so that all take the same of several equal ways."""
    hops: list[Hop] = []
    for ttl in range(1, MOST_HOPS + 1):
        answer = yield Shot(0, HOP_TRIES, HOP_WAIT, ttl=ttl, flow=1, keep=True)
        if answer.kind not in {"expired", "silent"}:
            return Trace(tuple(hops), answer.kind, answer.sender)
        hops.append(Hop(ttl, answer.sender, answer.rtt))
        if len(hops) >= SILENT_HOPS and not any(hop.address for hop in hops[-SILENT_HOPS:]):
            break
    while hops and not hops[-1].address:
        hops.pop()
    return Trace(tuple(hops), "silent", "")


def look() -> Play[Look]:
    """Take the one after the other; where this host itself says no, there is no way to look at."""
    syn = yield from half_open()
    way = (yield from trace()) if syn.kind != "local" else Trace((), "local", "")
    return Look(syn, way)
