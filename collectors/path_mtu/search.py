"""Path-MTU search with padded SYNs, as a probe script. Pure."""

from __future__ import annotations

import errno
import itertools
from typing import TYPE_CHECKING, NamedTuple

from collectors.packets.protocol import IP_TCP_HEADERS, Endpoint, ProbeAnswer, ProbeSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.packets.protocol import ProbeScript

TRIES = 5  # of a padded SYN: where one round trip in ten is lost, all five are once in 100,000
BARE_TRIES, BARE_WAIT = 5, 0.5
MIN_WAIT, MAX_WAIT = 0.1, 1.0  # seconds from try to try, at three round trips
MIN_MTU = {4: 576, 6: 1280}  # bytes: RFC 791 3.1, RFC 8200 5. No path is narrower: what drops these drops SYNs with data
USUAL = (8500, 1500)  # the usual limits of a jumbo path: an AWS transit gateway, and Ethernet


class PathMtuResult(NamedTuple):
    """Result of a search.

    `answered`: the target answered a bare SYN. `mtu`: the largest packet in bytes that was answered, 0 for none. `sent`: the largest
    that was tried. `black_hole`: larger packets are lost without an ICMP error; else `hop` is the router that sent one.
    `padded_dropped`: not even a small padded SYN was answered, so that size is not the cause. `mss` is the target's, `rtt` in µs.
    `send_error` is the errno where this host could not send.
    """

    answered: bool
    mtu: int = 0
    sent: int = 0
    black_hole: bool = False
    hop: str = ""
    padded_dropped: bool = False
    mss: int = 0
    rtt: int = 0
    send_error: int = 0

    @property
    def is_tcp_safe(self) -> bool:
        """True if the target's own MSS keeps TCP segments below the limit."""
        return bool(self.mss) and self.mss + IP_TCP_HEADERS[4] <= self.mtu


def search(endpoint: Endpoint) -> ProbeScript[PathMtuResult]:
    """Send a bare SYN, then the largest packet, then sizes between."""
    bare = yield ProbeSpec(0, BARE_TRIES, BARE_WAIT)
    if not bare.from_target:
        return PathMtuResult(answered=False, send_error=bare.error)
    flows = itertools.count(1)
    mss = bare.mss + IP_TCP_HEADERS[endpoint.version] - IP_TCP_HEADERS[4] if bare.mss else 0  # as IPv4 counts, so that both compare alike
    result = PathMtuResult(answered=True, sent=min(endpoint.mtu, 65535), mss=mss, rtt=bare.rtt)
    wait = min(max(MIN_WAIT, 3e-6 * bare.rtt), MAX_WAIT)
    largest = yield from _padded(result.sent, wait, flows)
    if largest.from_target:
        return result._replace(mtu=result.sent)
    low = min(MIN_MTU[endpoint.version], result.sent)
    small = yield from _padded(low, wait, flows)
    if not small.from_target:
        return result._replace(padded_dropped=small.kind != "local", send_error=small.error)
    low, last = yield from _narrow(low, result.sent, largest, wait, flows)
    again = yield ProbeSpec(0, BARE_TRIES, BARE_WAIT, flow=next(flows))
    if not again.from_target:
        return PathMtuResult(answered=False, send_error=again.error)
    if last.kind == "local" and last.error != errno.EMSGSIZE:
        return result._replace(mtu=0, send_error=last.error)
    return result._replace(mtu=low, black_hole=last.kind not in {"too_big", "local"}, hop=last.sender)


def _padded(size: int, wait: float, flows: Iterator[int]) -> ProbeScript[ProbeAnswer]:
    """Send SYNs of one size until one is answered, each from a port of its own.

    Linux answers a repeated SYN of one connection only every 500 ms (net.ipv4.tcp_invalid_ratelimit, tcp_check_req() in
    net/ipv4/tcp_minisocks.c), so that further tries on the same port would not make up for a lost answer.
    """
    for _ in range(TRIES):
        answer = yield ProbeSpec(size, 1, wait, flow=next(flows))
        if answer.kind != "silent":
            break
    return answer


def _narrow(low: int, high: int, failed: ProbeAnswer, wait: float, flows: Iterator[int]) -> ProbeScript[tuple[int, ProbeAnswer]]:
    """Narrow down the limit; `low` was answered, `high` was not. Return the limit and the answer to the packet that was too large for it.

    The MTU of an ICMP error is tried first, and accepted if it holds: routers limit the rate of ICMP errors (RFC 1812 4.3.2.8).
    """
    guesses = [guess for usual in USUAL for guess in (usual + 1, usual)]
    while high - low > 1:
        icmp_mtu = failed.mtu if failed.kind == "too_big" and low < failed.mtu < high else 0
        guess = icmp_mtu or next((g for g in guesses if low < g < high and (g in USUAL or g - 1 == low)), (low + high) // 2)
        answer = yield from _padded(guess, wait, flows)
        if answer.from_target:
            low = guess
            if icmp_mtu:
                break
        else:
            high, failed = guess, answer
    return low, failed
