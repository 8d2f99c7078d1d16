"""Half-open probes, for services that must not see connects: a bare SYN and a RST, sent by the packet helper, one round at a time."""

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
from collectors.probe.connect.result import PROHIBITED_CODES, ProbeResult, Reason, reason_of
from collectors.probe.targets.target import SocketAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.packets.protocol import ProbeAnswer, ProbeScript
    from collectors.probe.connect.result import Destination

RETRANSMIT_SECONDS = 1.0  # until a SYN is sent again, as the kernel waits (RFC 6298 2.1)

log = logging.getLogger(__name__)


def probe(
    client: PacketClient, addresses: Mapping[str, SocketAddress], timeout: float, rate: float = MAX_PACKETS_PER_SECOND
) -> dict[str, ProbeResult]:
    """Send each address a SYN, and another each second within the timeout; return the results of equivalent connects, by key."""
    results: dict[str, ProbeResult] = {}
    scripts: dict[str, tuple[Endpoint, ProbeScript[ProbeAnswer]]] = {}
    tries = max(1, int(timeout / RETRANSMIT_SECONDS))
    for key, address in addresses.items():
        try:
            host = zoned(address.sockaddr)
            way = route(host)
        except OSError as error:
            results[key] = ProbeResult(reason_of(error.errno or 0), local_error=True, error=error.errno or 0)
            continue
        scripts[key] = (Endpoint(way.source, host, address.sockaddr[1], way.mtu), half_open(tries, timeout / tries))
    try:
        round_ = client.run(scripts, len(scripts) / rate * tries + timeout + 1, rate)
    except Unavailable as error:
        log.debug("half-open probes unavailable reason=%s", error)
        return results | dict.fromkeys(scripts, ProbeResult(Reason.PERMISSION, local_error=True, error=errno.EPERM))
    if round_.failure:
        log.warning("half-open probes failed ended=%d of=%d error=%s", len(round_.found), len(scripts), round_.failure)
    not_sent = ProbeResult(Reason.LOCAL_RESOURCES, local_error=True)
    return results | {
        key: result_of(round_.found[key], timeout, str(addresses[key].sockaddr[0])) if key in round_.found else not_sent for key in scripts
    }


def result_of(answer: ProbeAnswer, timeout: float, target: str) -> ProbeResult:
    """Return the result that a connect to `target`, an address, with this answer would have had."""
    retransmits, seconds = max(0, answer.tries - 1), answer.rtt * 1e-6
    if answer.kind == "syn_ack":
        return ProbeResult(Reason.ANSWERED, rtt=answer.rtt, retransmits=retransmits, seconds=seconds)
    if answer.kind == "reset":
        return ProbeResult(Reason.REFUSED, error=errno.ECONNREFUSED, retransmits=retransmits, seconds=seconds)
    if answer.kind == "local":
        return ProbeResult(reason_of(answer.error), local_error=True, error=answer.error)
    if answer.kind == "silent":
        return ProbeResult(Reason.TIMEOUT, error=errno.ETIMEDOUT, retransmits=retransmits, seconds=timeout)
    error = errno.ENETUNREACH if answer.kind == "unreachable" and answer.code == 0 else errno.EHOSTUNREACH
    router = "" if answer.sender == target else answer.sender
    reason = Reason.PROHIBITED if is_prohibited(answer, target) else reason_of(error)
    return ProbeResult(reason, error=error, retransmits=retransmits, seconds=seconds, router=router)


def is_prohibited(answer: ProbeAnswer, target: str) -> bool:
    """Return whether a firewall forbids the probe: by an ICMP code that says so, or by an ICMP unreachable of the target itself."""
    kind = 1 if ":" in answer.sender else 3  # the ICMP type of "destination unreachable"
    return answer.kind == "unreachable" and (answer.sender == target or (kind, answer.code) in PROHIBITED_CODES)


class HalfOpenProber:
    """Probes the targets of `mode = "syn"` in a thread beside the sweep, at an interval of its own, since each round starts a process."""

    def __init__(self, interval: float, timeout: float) -> None:
        self._interval, self._timeout = interval, timeout
        self._client = PacketClient()
        self._next = 0.0
        self._thread: threading.Thread | None = None
        self._ended: dict[str, ProbeResult] = {}

    def run(self, destinations: Mapping[str, Destination], wait: float) -> dict[str, ProbeResult]:
        """Start a round if one is due, wait `wait` seconds for it, and return the results since the last call.

        Targets without an address are left out, and a result among the destinations is its own result.
        """
        now = time.monotonic()
        addresses = {target: to for target, to in destinations.items() if isinstance(to, SocketAddress)}
        if addresses and now >= self._next and not (self._thread and self._thread.is_alive()):
            self._next = now + self._interval
            self._thread = threading.Thread(target=self._round, args=(addresses,), name="vitald-syn", daemon=True)
            self._thread.start()
        if self._thread and wait:
            self._thread.join(wait)
        ended, self._ended = self._ended, {}
        ended = {target: result for target, result in ended.items() if target in destinations}
        return ended | {target: to for target, to in destinations.items() if isinstance(to, ProbeResult)}

    def close(self) -> None:
        """End the round in progress."""
        self._client.stop()

    def _round(self, addresses: Mapping[str, SocketAddress]) -> None:
        try:
            self._ended = probe(self._client, addresses, self._timeout)
        except Exception:
            log.exception("half-open probes failed")
