"""TCP traceroute to the probed port, and a half-open SYN to it, as probe scripts. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from collectors.packets.protocol import ProbeAnswer, ProbeSpec

if TYPE_CHECKING:
    from collectors.packets.protocol import ProbeScript

MAX_HOPS = 30
SILENT_HOPS = 4  # in a row: then routers further on do not answer either
HOP_TRIES, HOP_WAIT = 2, 0.3  # seconds; routers answer late and limit the rate of ICMP (RFC 1812 4.3.2.8)
SYN_TRIES, SYN_WAIT = 3, 0.5


class Hop(NamedTuple):
    """Answer at one TTL: the router's address (empty for none) and the round trip in µs."""

    ttl: int
    address: str
    rtt: int


class Trace(NamedTuple):
    """The routers on the path that answered, and the end: the last answer's `kind` and sender."""

    hops: tuple[Hop, ...]
    end: str
    sender: str

    @property
    def last(self) -> Hop | None:
        """The last hop that answered."""
        return next((hop for hop in reversed(self.hops) if hop.address), None)


class SynTrace(NamedTuple):
    """Result of the half-open SYN, and the path to the target."""

    syn: ProbeAnswer
    trace: Trace


def half_open(tries: int = SYN_TRIES, wait: float = SYN_WAIT) -> ProbeScript[ProbeAnswer]:
    """Send a bare SYN, and a RST whatever the answer."""
    return (yield ProbeSpec(0, tries, wait))


def trace() -> ProbeScript[Trace]:
    """Send SYNs with a TTL of 1, 2, …; one source port and one sequence number, so that all take the same of several equal paths."""
    hops: list[Hop] = []
    for ttl in range(1, MAX_HOPS + 1):
        answer = yield ProbeSpec(0, HOP_TRIES, HOP_WAIT, ttl=ttl, flow=1, keep=True)
        if answer.kind not in {"expired", "silent"}:
            return Trace(tuple(hops), answer.kind, answer.sender)
        hops.append(Hop(ttl, answer.sender, answer.rtt))
        if len(hops) >= SILENT_HOPS and not any(hop.address for hop in hops[-SILENT_HOPS:]):
            break
    while hops and not hops[-1].address:
        hops.pop()
    return Trace(tuple(hops), "silent", "")


def syn_trace() -> ProbeScript[SynTrace]:
    """Run both; where this host refuses to send, there is no path to trace."""
    syn = yield from half_open()
    path = (yield from trace()) if syn.kind != "local" else Trace((), "local", "")
    return SynTrace(syn, path)
