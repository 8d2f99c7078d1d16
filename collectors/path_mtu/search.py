"""How large a frame may be on the way to a target: a short search with padded SYNs. Pure."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple

from collectors.packets.protocol import IP_TCP_HEADERS, Endpoint, ProbeAnswer, ProbeSpec

if TYPE_CHECKING:
    from collectors.packets.protocol import ProbeScript

TRIES = 5  # of a padded SYN: where one round trip in ten is lost, all five are once in 100,000
BARE_TRIES, BARE_WAIT = 5, 0.5
SHORTEST_WAIT, LONGEST_WAIT = 0.1, 1.0  # seconds from try to try, at three round trips
SMALLEST = {4: 576, 6: 1280}  # bytes: RFC 791 3.1, RFC 8200 5. No path is narrower: what drops these drops SYNs with data
USUAL = (8500, 1500)  # what limits a jumbo path mostly: an AWS transit gateway, and Ethernet


class Found(NamedTuple):
    """What a search found.

    `answered`: the target answered a bare SYN. `mtu`: the largest packet in bytes that was answered, 0 where none was. `sent`: the
    largest that was tried. `black_hole`: what is larger gets lost and nobody says so; else `hop` is the router that said it.
    `padded_dropped`: not even a small padded SYN was answered, so that size has nothing to do with it. `mss` is the target's.
    """

    answered: bool
    mtu: int = 0
    sent: int = 0
    black_hole: bool = False
    hop: str = ""
    padded_dropped: bool = False
    mss: int = 0
    rtt: int = 0
    local: int = 0

    @property
    def tcp_is_spared(self) -> bool:
        """Whether the target's own MSS keeps TCP below what gets lost."""
        return bool(self.mss) and self.mss + IP_TCP_HEADERS[4] <= self.mtu


def search(place: Endpoint) -> ProbeScript[Found]:
    """Ask bare, then with the largest packet, then between."""
    bare = yield ProbeSpec(0, BARE_TRIES, BARE_WAIT)
    if not bare.from_target:
        return Found(answered=False, local=bare.error)
    mss = bare.mss + IP_TCP_HEADERS[place.version] - IP_TCP_HEADERS[4] if bare.mss else 0  # as IPv4 counts, so that both compare alike
    known = Found(answered=True, sent=min(place.mtu, 65535), mss=mss, rtt=bare.rtt)
    wait = min(max(SHORTEST_WAIT, 3e-6 * bare.rtt), LONGEST_WAIT)
    top = yield ProbeSpec(known.sent, TRIES, wait, flow=1)
    if top.from_target:
        return known._replace(mtu=known.sent)
    low = min(SMALLEST[place.version], known.sent)
    small = yield ProbeSpec(low, TRIES, wait, flow=2)
    if not small.from_target:
        return known._replace(padded_dropped=small.kind != "local", local=small.error)
    low, last = yield from _between(low, known.sent, top, wait)
    again = yield ProbeSpec(0, BARE_TRIES, BARE_WAIT, flow=0xFFFF)
    if not again.from_target:
        return Found(answered=False, local=again.error)
    if last.kind == "local" and last.error != errno.EMSGSIZE:
        return known._replace(mtu=0, local=last.error)
    return known._replace(mtu=low, black_hole=last.kind not in {"too_big", "local"}, hop=last.sender)


def _between(low: int, high: int, failed: ProbeAnswer, wait: float) -> ProbeScript[tuple[int, ProbeAnswer]]:
    """Close in on the limit; `low` was answered, `high` was not. Gives the limit and what came of the packet that was too large for it.

    A router's own word is tried first, and believed where it holds: routers say it only so many times a second (RFC 1812 4.3.2.8).
    """
    flow = 2
    guesses = [guess for usual in USUAL for guess in (usual + 1, usual)]
    while high - low > 1:
        said = failed.mtu if failed.kind == "too_big" and low < failed.mtu < high else 0
        guess = said or next((g for g in guesses if low < g < high and (g in USUAL or g - 1 == low)), (low + high) // 2)
        flow += 1
        answer = yield ProbeSpec(guess, TRIES, wait, flow=flow)
        if answer.from_target:
            low = guess
            if said:
                break
        else:
            high, failed = guess, answer
    return low, failed
