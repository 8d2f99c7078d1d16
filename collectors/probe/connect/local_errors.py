"""Classify a failed connect: RST, ICMP error, local firewall, self-connect.

`classify_failure` asks the socket itself. Other causes on this host (a full connection table, a gateway that does not resolve) show in
the host's state only: `read_host_facts` reads it after a sweep, and `attribute` applies it to the sweep's results.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, NamedTuple

from collectors.netlink.route import neighbours, route, zoned
from collectors.probe.connect import icmp_errors
from collectors.probe.connect.result import PROHIBITED_CODES, SILENCE, ProbeResult, Reason, reason_of
from collectors.probe.targets.target import SocketAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from collectors.probe.connect.result import Destination
    from collectors.probe.targets.target import Target

UNRESOLVED = {"FAILED", "INCOMPLETE"}  # states of a neighbour without a link-layer address: include/uapi/linux/neighbour.h
_ADDRESS_UNREACHABLE = {(3, 1), (1, 3)}  # (type, code) of our own stack without an ARP or ND reply; RFC 792, RFC 4443 3.1


class HostFacts(NamedTuple):
    """State of this host that explains failed connects: destinations behind a gateway that does not resolve, and a full conntrack table."""

    behind_failed_gateway: frozenset[SocketAddress] = frozenset()
    conntrack_full: bool = False


def system_call_failed(error: int) -> ProbeResult:
    """Return the result of a probe whose socket(2) or connect(2) failed: no packet was sent yet, so this host is the cause.

    The exception is ECONNREFUSED and its like, which connect(2) may return at once for a target on this very host.
    """
    reason = reason_of(error)
    return ProbeResult(reason, reason not in {Reason.REFUSED, Reason.RESET, Reason.TIMEOUT}, error)


def classify_failure(sock: socket.SocketType, blocked: bool, retransmits: int, seconds: float) -> ProbeResult:  # noqa: FBT001
    """Return the result of a connect that failed after its SYN was sent; a self-connect has no error and counts as refused.

    `blocked`: a local firewall dropped the retransmitted SYNs.
    """
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    icmp = icmp_errors.read(sock)
    error = error or (icmp.error if icmp else errno.ECONNREFUSED)
    if blocked or (icmp and _is_local_reject(sock, icmp)):
        return ProbeResult(Reason.PERMISSION, True, error, 0, retransmits, seconds)  # noqa: FBT003
    router = icmp.sender if icmp and not icmp.is_from_target else ""
    reason = reason_of(error)
    if icmp and reason is not Reason.REFUSED and (icmp.is_from_target or (icmp.type, icmp.code) in PROHIBITED_CODES):
        reason = Reason.PROHIBITED
    return ProbeResult(reason, False, error, 0, retransmits, seconds, router)  # noqa: FBT003


def _is_local_reject(sock: socket.SocketType, icmp: icmp_errors.IcmpError) -> bool:
    """Return whether this host's own firewall rejected the SYN: the ICMP error comes from our own address, the target is another host."""
    is_own = icmp.sender == _host(sock.getsockname)
    return is_own and not icmp.is_from_target and (icmp.type, icmp.code) not in _ADDRESS_UNREACHABLE


def _host(name: Callable[[], tuple[str, int]]) -> str:
    try:
        return name()[0]
    except OSError:
        return ""


def is_self_connect(sock: socket.SocketType) -> bool:
    """Return whether the socket is connected to itself: a closed local port that the kernel chose as source port (RFC 9293 3.5)."""
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:
        return False


def read_host_facts(proc: Path, destinations: Sequence[Destination], results: Sequence[ProbeResult | None]) -> HostFacts:
    """Read what the results call for: nothing where all probes were answered."""
    failed = [(destination, result) for destination, result in zip(destinations, results, strict=True) if result and result.reason]
    if not failed:
        return HostFacts()
    no_reply = {to for to, result in failed if isinstance(to, SocketAddress) and result.reason in SILENCE and not result.local_error}
    full = any(_may_be_conntrack(result) for _, result in failed) and _conntrack_full(proc)
    return HostFacts(_behind_failed_gateway(no_reply), full)


def attribute(
    targets: Sequence[Target],
    destinations: Sequence[Destination],
    results: Sequence[ProbeResult | None],
    facts: HostFacts,
    diagnosed: Mapping[str, Reason],
) -> list[ProbeResult | None]:
    """Return the results, those that this host caused marked as local errors.

    `diagnosed` holds the local causes that diagnoses have found, by target; a failed gateway is left to the facts, which are newer.
    """
    attributed = list(results)
    for index, result in enumerate(results):
        if result is None or not result.reason:
            continue
        if facts.conntrack_full and _may_be_conntrack(result):
            attributed[index] = result._replace(reason=Reason.LOCAL_RESOURCES, local_error=True)
        elif result.reason in SILENCE and not result.local_error:
            if (reason := diagnosed.get(targets[index].text)) is not None and reason is not Reason.HOST_UNREACHABLE:
                attributed[index] = result._replace(reason=reason, local_error=True, error=errno.EPERM)
            elif destinations[index] in facts.behind_failed_gateway:
                attributed[index] = result._replace(reason=Reason.HOST_UNREACHABLE, local_error=True, error=errno.EHOSTUNREACH)
    return attributed


def _may_be_conntrack(result: ProbeResult) -> bool:
    """Return whether a full table can be the cause: our own side dropped the SYN, or no retransmission could show whether it did."""
    blocked = result.reason is Reason.PERMISSION and result.retransmits > 0
    return blocked or (result.reason is Reason.TIMEOUT and result.retransmits == 0)


def _conntrack_full(proc: Path) -> bool:
    """Return whether the connection table is full; False without one or without permission to read it.

    Once full, the kernel drops every new connection's first packet (nf_conntrack_alloc() in net/netfilter/nf_conntrack_core.c).
    The two files are of the reader's own network namespace: Documentation/networking/nf_conntrack-sysctl.rst.
    """
    folder = proc / "sys/net/netfilter"
    try:
        count, limit = (int((folder / name).read_text()) for name in ("nf_conntrack_count", "nf_conntrack_max"))
    except (OSError, ValueError):
        return False
    return 0 < limit <= count


def _behind_failed_gateway(addresses: Collection[SocketAddress]) -> frozenset[SocketAddress]:
    """Return the addresses whose next hop is a gateway without ARP or ND reply; without one on the link itself, the target is the cause."""
    if not addresses:
        return frozenset()
    try:
        failed = {key for family in (socket.AF_INET, socket.AF_INET6) for key, state in neighbours(family).items() if state in UNRESOLVED}
    except OSError:
        return frozenset()
    return frozenset(address for address in addresses if _gateway(address) in failed) if failed else frozenset()


def _gateway(address: SocketAddress) -> tuple[str, str] | None:
    try:
        way = route(zoned(address.sockaddr))
    except OSError:
        return None
    return (way.interface, way.gateway) if way.gateway else None
