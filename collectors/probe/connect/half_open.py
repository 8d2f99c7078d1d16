"""Half-open probes, for services that must not see connects: a bare SYN and a RST, by the packet child, a round at a time."""

from __future__ import annotations

import errno
import logging
import threading
import time
from typing import TYPE_CHECKING

from collectors.model import Unavailable
from collectors.netlink.route import route, zoned
from collectors.packets.client import PacketClient
from collectors.packets.protocol import MAX_PACKETS_PER_SECOND, Endpoint
from collectors.packets.traceroute import half_open
from collectors.probe.connect.outcome import Outcome, Reason, of
from collectors.probe.targets.target import Address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.packets.protocol import ProbeAnswer, ProbeScript
    from collectors.probe.connect.sweep import Planned

TRY_WAIT = 1.0  # seconds until a SYN is sent again, as the kernel waits (RFC 6298 2.1)
PROHIBITED_V6 = 1  # RFC 4443 3.1: the kernel makes EACCES of it, and of nothing else

log = logging.getLogger(__name__)


def probe(child: PacketClient, places: Mapping[str, Address], timeout: float, rate: float = MAX_PACKETS_PER_SECOND) -> dict[str, Outcome]:
    """Send each address its SYN, and another every second within the timeout; gives how each ended, as a connect would have."""
    outcomes: dict[str, Outcome] = {}
    plays: dict[str, tuple[Endpoint, ProbeScript[ProbeAnswer]]] = {}
    tries = max(1, int(timeout / TRY_WAIT))
    for key, address in places.items():
        try:
            host = zoned(address.sockaddr)
            way = route(host)
        except OSError as error:
            outcomes[key] = Outcome(of(error.errno or 0), own_fault=True, error=error.errno or 0)
            continue
        plays[key] = (Endpoint(way.source, host, address.sockaddr[1], way.mtu), half_open(tries, timeout / tries))
    try:
        results = child.run(plays, len(plays) / rate * tries + timeout + 1, rate)
    except Unavailable as why:
        log.debug("no half-open probes: %s", why)
        return outcomes | dict.fromkeys(plays, Outcome(Reason.PERMISSION, own_fault=True, error=errno.EPERM))
    if results.failure:
        log.warning("%s; %d of %d half-open probes had ended", results.failure, len(results.found), len(plays))
    lost = Outcome(Reason.LOCAL_RESOURCES, own_fault=True)
    found = {key: outcome(results.found[key], timeout) if key in results.found else lost for key in plays}
    return outcomes | found


def outcome(answer: ProbeAnswer, timeout: float) -> Outcome:
    """Say of an answer what a connect would have said."""
    again, seconds = max(0, answer.tries - 1), answer.rtt * 1e-6
    if answer.kind == "syn_ack":
        return Outcome(Reason.ANSWERED, rtt=answer.rtt, retransmits=again, seconds=seconds)
    if answer.kind == "reset":
        return Outcome(Reason.REFUSED, error=errno.ECONNREFUSED, retransmits=again, seconds=seconds)
    if answer.kind == "local":
        return Outcome(of(answer.error), own_fault=True, error=answer.error)
    if answer.kind == "silent":
        return Outcome(Reason.TIMEOUT, error=errno.ETIMEDOUT, retransmits=again, seconds=timeout)
    error = errno.ENETUNREACH if answer.kind == "unreachable" and answer.code == 0 else errno.EHOSTUNREACH
    if ":" in answer.sender and answer.code == PROHIBITED_V6:
        error = errno.EACCES
    return Outcome(of(error), error=error, retransmits=again, seconds=seconds, router=answer.sender)


class HalfOpen:
    """The targets of `mode = "syn"`: probed in a thread beside the sweep, once in a while, since each round starts a child."""

    def __init__(self, interval: float, timeout: float) -> None:
        self._interval, self._timeout = interval, timeout
        self._child = PacketClient()
        self._next = 0.0
        self._thread: threading.Thread | None = None
        self._ended: dict[str, Outcome] = {}

    def run(self, plan: Mapping[str, Planned], patience: float) -> dict[str, Outcome]:
        """Start a round if one is due, wait `patience` seconds for it, and give what has ended since this was asked last.

        What has no address yet is left out, and an outcome of the plan is its own outcome.
        """
        now = time.monotonic()
        places = {target: place for target, place in plan.items() if isinstance(place, Address)}
        if places and now >= self._next and not (self._thread and self._thread.is_alive()):
            self._next = now + self._interval
            self._thread = threading.Thread(target=self._round, args=(places,), name="vitald-syn", daemon=True)
            self._thread.start()
        if self._thread and patience:
            self._thread.join(patience)
        ended, self._ended = self._ended, {}
        ended = {target: end for target, end in ended.items() if target in plan}
        return ended | {target: place for target, place in plan.items() if isinstance(place, Outcome)}

    def close(self) -> None:
        """End the round that is out."""
        self._child.stop()

    def _round(self, places: Mapping[str, Address]) -> None:
        try:
            self._ended = probe(self._child, places, self._timeout)
        except Exception:
            log.exception("a round of half-open probes failed")
