"""Rules that conclude from a bad target's facts what the cause is: the target, the path, or this host. Pure."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from collectors.probe.connect.local_errors import UNRESOLVED
from collectors.probe.connect.result import LABELS, ProbeResult, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.netlink.link_details_messages import LinkDetails, RouteInfo
    from collectors.netlink.route import Route
    from collectors.packets.protocol import ProbeAnswer
    from collectors.packets.traceroute import SynTrace

MOST = 0.8  # of the others are fine: it is the target; or bad: it is this host
_PROHIBITED = {4: {9, 10, 13}, 6: {1, 5, 6}}  # ICMP codes of type 3 (RFC 1812 5.2.7.1) and ICMPv6 codes of type 1 (RFC 4443 3.1)


@dataclass(frozen=True)
class Facts:
    """Facts about one bad target.

    `neighbour` is the NUD state of the next hop. `packets` is None, with the reason in `no_packets`, where none could be sent.
    `second_connect` is a connect after a half-open SYN that was answered; `counters` holds by how much the interface's grew meanwhile.
    `route_info` and `link` are the details of route, next hop and link, None without an answer of the link details helper.
    """

    last_result: ProbeResult
    route: Route | None = None
    route_error: int = 0
    neighbour: str = ""
    packets: SynTrace | None = None
    no_packets: str = ""
    second_connect: ProbeResult | None = None
    others: int = 0
    others_bad: int = 0
    recent: tuple[str, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    route_info: RouteInfo | None = None
    link: LinkDetails | None = None


@dataclass(frozen=True)
class Diagnosis:
    """The conclusion in one line, the facts behind it, and the reason of a local error where this host is the cause, else None."""

    summary: str
    evidence: Mapping[str, Any]
    local_reason: Reason | None = None


def conclude(facts: Facts) -> Diagnosis:
    """Conclude where the answer is lost; with the state of the next hop, and how many other targets are bad."""
    cause, local_reason = _cause(facts)
    neighbour = f"neighbour {facts.neighbour}" if facts.neighbour and facts.neighbour not in UNRESOLVED else ""
    lost = ", ".join(f"{count} {name}" for name, count in facts.counters.items() if count and not name.endswith(("packets", "carrier")))
    interface = f"{facts.route.interface if facts.route else 'the interface'} meanwhile: {lost}" if lost else ""
    comparison = "" if local_reason is not None else _compare_with_others(facts)
    summary = "; ".join(part for part in (cause, neighbour, interface, comparison) if part)
    return Diagnosis(summary, _evidence(facts), local_reason)


def _cause(facts: Facts) -> tuple[str, Reason | None]:
    """Return the first cause, from this host outwards; with the reason of a local error."""
    if facts.route_error:
        return f"this host has no route to it ({os.strerror(facts.route_error).lower()})", Reason.NET_UNREACHABLE
    if facts.neighbour in UNRESOLVED and facts.route:
        return _next_hop_unresolved(facts.route, facts.neighbour)
    if facts.packets is None:
        return facts.no_packets, None
    return _syn_answer(facts, facts.packets.syn)


def _next_hop_unresolved(way: Route, state: str) -> tuple[str, Reason | None]:
    """Conclude from a next hop that does not resolve: a gateway is a local error, the target itself is down."""
    if way.gateway:
        return f"no ARP or ND reply from the gateway {way.gateway} on {way.interface} ({state})", Reason.HOST_UNREACHABLE
    return f"no ARP or ND reply for its address on {way.interface} ({state})", None


def _syn_answer(facts: Facts, syn: ProbeAnswer) -> tuple[str, Reason | None]:
    """Conclude from the answer to the half-open SYN."""
    if syn.kind == "local":
        reason = Reason.PERMISSION if syn.error in {errno.EPERM, errno.EACCES} else Reason.LOCAL_RESOURCES
        return f"this host itself refuses to send to it ({os.strerror(syn.error).lower()})", reason
    if syn.kind == "syn_ack":
        return _answered(facts)
    if syn.kind == "reset":
        return f"the target itself refuses, {_distance(facts)}", None
    if syn.kind == "unreachable":
        prohibited = syn.code in _PROHIBITED[6 if ":" in syn.sender else 4]
        return f"ICMP {'prohibited' if prohibited else 'unreachable'} from {syn.sender}", None
    return _silent(facts), None


def _answered(facts: Facts) -> tuple[str, Reason | None]:
    second = facts.second_connect
    if facts.last_result.reason is not Reason.ANSWERED and second is not None and second.reason is Reason.TIMEOUT:
        return "its SYN-ACK reaches this host, whose own firewall or rp_filter drops it", Reason.PERMISSION
    lossy = facts.last_result.reason is Reason.ANSWERED
    return f"{'SYNs are lost on the path' if lossy else 'it answers a half-open SYN now'}, {_distance(facts)}", None


def _silent(facts: Facts) -> str:
    last = facts.packets.trace.last if facts.packets else None
    return f"SYN-ACK missing after hop {last.ttl} {last.address}" if last else "SYN-ACK missing, and no router on the path answers"


def _distance(facts: Facts) -> str:
    hops = len(facts.packets.trace.hops) if facts.packets else 0
    return "on this link" if not hops else f"{hops} hop{'s' if hops != 1 else ''} away"


def _compare_with_others(facts: Facts) -> str:
    """Compare with the other targets: among good ones the target is the cause, among bad ones this host is."""
    fine = facts.others - facts.others_bad
    if not facts.others:
        return "there is no other target to compare with"
    if fine >= MOST * facts.others:
        refused = facts.last_result.reason in {Reason.REFUSED, Reason.RESET}
        return f"{fine} of {facts.others} other targets fine: {'the service on it' if refused else 'the target or its security group'}"
    shared = "this host or its network" if facts.others_bad >= MOST * facts.others else "something they share"
    return f"{facts.others_bad} of {facts.others} other targets bad, too: {shared}"


def _evidence(facts: Facts) -> dict[str, Any]:
    evidence: dict[str, Any] = {
        "route": facts.route._asdict() if facts.route else os.strerror(facts.route_error) if facts.route_error else None,
        "neighbour": facts.neighbour or None,
        **_link_evidence(facts),
        "others": facts.others,
        "others_bad": facts.others_bad,
        "last": list(facts.recent),
        "interface_counters_grew": dict(facts.counters),
    }
    if facts.packets:
        syn, trace = facts.packets
        evidence["half_open_syn"] = {name: getattr(syn, name) for name in ("kind", "sender", "rtt", "tries", "code", "error")}
        evidence["trace"] = [hop._asdict() for hop in trace.hops]
        evidence["trace_end"] = {"kind": trace.end, "sender": trace.sender}
    else:
        evidence["no_packets"] = facts.no_packets
    if facts.second_connect is not None:
        evidence["connect_again"] = LABELS[facts.second_connect.reason]
    return evidence


def _link_evidence(facts: Facts) -> dict[str, Any]:
    """Return table and protocol of the route, link-layer address of the next hop, and drops of the link's queues since boot."""
    evidence: dict[str, Any] = {}
    if (info := facts.route_info) and not info.error:
        evidence["route_from"] = {"table": info.table, "protocol": info.protocol, "kind": info.kind}
        evidence["next_hop"] = {"hardware": info.hardware or None, "seconds_since_confirmed": info.confirmed}
    if link := facts.link:
        queues = [{"kind": queue.kind, "dropped": queue.dropped, "waiting": queue.backlog} for queue in link.queues]
        evidence["link"] = {"kind": link.kind, "state": link.state, "master": link.master, "xdp": link.xdp, "queues": queues}
    return evidence
