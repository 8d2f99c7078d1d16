"""Rules that conclude from a bad target's facts what the cause is: the target, the path, or this host. Pure."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from collectors.probe.connect.local_errors import UNRESOLVED
from collectors.probe.connect.result import ANSWERS, LABELS, PROHIBITED_CODES, ProbeResult, Reason
from collectors.text import known_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.netlink.link_details_messages import LinkDetails, RouteInfo
    from collectors.netlink.route import Route
    from collectors.packets.protocol import ProbeAnswer
    from collectors.packets.traceroute import SynTrace

MOST = 0.8  # of the others answer: it is the target; or do not: it is this host


class Others(NamedTuple):
    """The other probed targets by what their last probe says about this host and its network; failed look-ups say nothing.

    `refusing` and `prohibited` are answers: packets left and came back. `silent` ones had no answer or no route, or lose SYNs; `local`
    ones could not be probed because of this host.
    """

    fine: int = 0
    refusing: int = 0
    prohibited: int = 0
    silent: int = 0
    local: int = 0

    @property
    def answering(self) -> int:
        """Targets whose packets came back."""
        return self.fine + self.refusing + self.prohibited


NO_OTHERS = Others()


@dataclass(frozen=True)
class Facts:
    """Facts about one bad target.

    `neighbour` is the NUD state of the next hop. `packets` is None, with the reason in `no_packets`, where none were sent.
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
    others: Others = NO_OTHERS
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
    """Conclude where the answer is lost; with the state of the next hop, and what the other targets say for or against it."""
    cause, local_reason = _cause(facts)
    neighbour = f"neighbour {facts.neighbour}" if facts.neighbour and facts.neighbour not in UNRESOLVED else ""
    lost = ", ".join(f"{count} {name}" for name, count in facts.counters.items() if count and not name.endswith(("packets", "carrier")))
    interface = f"{facts.route.interface if facts.route else 'the interface'} meanwhile: {lost}" if lost else ""
    is_local = local_reason is not None or (facts.route is not None and facts.route.local)
    comparison = "" if is_local else _compare_with_others(facts)
    summary = "; ".join(part for part in (cause, neighbour, interface, comparison) if part)
    return Diagnosis(summary, _evidence(facts), local_reason)


def _cause(facts: Facts) -> tuple[str, Reason | None]:
    """Return the first cause, from this host outwards; with the reason of a local error."""
    if facts.route_error:
        return f"this host has no route to it ({os.strerror(facts.route_error).lower()})", Reason.NET_UNREACHABLE
    if facts.neighbour in UNRESOLVED and facts.route:
        return _next_hop_unresolved(facts.route, facts.neighbour)
    if facts.route and facts.route.local:
        return "its address is one of this host's own", None
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
        return f"ICMP {'prohibited' if _prohibits(syn) else 'unreachable'} from {syn.sender}", None
    if syn.kind == "expired":
        return f"a routing loop: its TTL ends at {syn.sender}", None
    return _silent(facts), None


def _prohibits(syn: ProbeAnswer) -> bool:
    return syn.kind == "unreachable" and ((1 if ":" in syn.sender else 3), syn.code) in PROHIBITED_CODES


def _answered(facts: Facts) -> tuple[str, Reason | None]:
    """Conclude from a SYN-ACK: lost SYNs, an own firewall, a service that resets or refuses, or a failure that has passed."""
    last, second = facts.last_result.reason, facts.second_connect
    if last is Reason.ANSWERED:
        return f"SYNs are lost on the path, {_distance(facts)}", None
    if second is not None and second.reason is Reason.TIMEOUT:
        return "its SYN-ACK reaches this host, whose own firewall or rp_filter drops it", Reason.PERMISSION
    if second is not None and second.reason in {Reason.RESET, Reason.REFUSED}:
        return f"the target itself answers a SYN and then resets the connection, {_distance(facts)}", None
    return f"it answers a half-open SYN now, {_distance(facts)}", None


def _silent(facts: Facts) -> str:
    last = facts.packets.trace.last if facts.packets else None
    return f"SYN-ACK missing after hop {last.ttl} {last.address}" if last else "SYN-ACK missing, and no router on the path answers"


def _distance(facts: Facts) -> str:
    hops = len(facts.packets.trace.hops) if facts.packets else 0
    return "on this link" if not hops else f"{hops} hop{'s' if hops != 1 else ''} away"


def _compare_with_others(facts: Facts) -> str:
    """Compare with the other targets: among answering ones the target is the cause, among silent ones this host or its network is.

    An answer, be it a refusal, is never evidence against this host's network: a target that refuses accuses its own service only.
    """
    others = facts.others
    total = sum(others)
    if not total:
        return "there is no other target to compare with"
    kind = _kind_of_failure(facts)
    if kind == "refusing":
        return _compare_refusal(others, total)
    if kind == "prohibited":
        also = f"{others.prohibited} of {total} other targets are prohibited, too: a rule that they share"
        return also if others.prohibited else f"{others.answering} of {total} other targets answer: a firewall rule for this one"
    if kind == "passed":
        return f"{others.answering} of {total} other targets answer"
    if others.answering >= MOST * total:
        blamed = "the target or its security group" if kind == "silent" else "the target or the path to it"
        return f"{others.answering} of {total} other targets answer: {blamed}"
    bad = others.silent + others.local
    shared = "this host or its network" if bad >= MOST * total else "something they share"
    return f"{bad} of {total} other targets do not answer, either: {shared}"


def _compare_refusal(others: Others, total: int) -> str:
    if others.refusing:
        return f"{others.refusing} of {total} other targets refuse, too: their services, not the network"
    if others.answering >= MOST * total:
        return f"{others.answering} of {total} other targets answer: the service on it"
    bad = others.silent + others.local
    return f"the service on it; that {bad} of {total} other targets do not answer has another cause"


def _kind_of_failure(facts: Facts) -> str:
    """Return `refusing`, `prohibited`, `silent`, `lossy` or `passed`: what came back now, else what the last probe met."""
    last = facts.last_result.reason
    now = facts.packets.syn.kind if facts.packets else ""
    if last is Reason.ANSWERED:
        return "lossy"
    if now == "reset":
        return "refusing"
    if now == "unreachable" and facts.packets and (_prohibits(facts.packets.syn) or last is Reason.PROHIBITED):
        return "prohibited"
    if now == "syn_ack":
        second = facts.second_connect
        return "refusing" if second is not None and second.reason in {Reason.RESET, Reason.REFUSED} else "passed"
    if not now and last in ANSWERS:
        return "prohibited" if last is Reason.PROHIBITED else "refusing"
    return "silent"


def _evidence(facts: Facts) -> dict[str, Any]:
    route_error = os.strerror(facts.route_error) if facts.route_error else ""
    evidence: dict[str, Any] = {
        "route": facts.route._asdict() if facts.route else route_error,
        "neighbour": facts.neighbour,
        **_link_evidence(facts),
        "others": facts.others._asdict(),
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
    return known_facts(evidence)


def _link_evidence(facts: Facts) -> dict[str, Any]:
    """Return table and protocol of the route, link-layer address of the next hop, and drops of the link's queues since boot."""
    evidence: dict[str, Any] = {}
    if (info := facts.route_info) and not info.error:
        evidence["route_from"] = {"table": info.table, "protocol": info.protocol, "kind": info.kind}
        evidence["next_hop"] = {"hardware": info.hardware, "seconds_since_confirmed": info.confirmed}
    if link := facts.link:
        queues = [{"kind": queue.kind, "dropped": queue.dropped, "waiting": queue.backlog} for queue in link.queues]
        evidence["link"] = {"kind": link.kind, "state": link.state, "master": link.master, "xdp": link.xdp, "queues": queues}
    return evidence
