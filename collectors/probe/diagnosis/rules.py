"""Whose fault it is that a target is bad, from everything that was seen when it turned bad. Pure."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from collectors.probe.connect.outcome import LABELS, Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.netlink.link_details_messages import LinkDetails, RouteInfo
    from collectors.netlink.route import Route
    from collectors.packets.protocol import ProbeAnswer
    from collectors.packets.traceroute import SynTrace

MOSTLY = 0.8  # of the others are fine: it is the target; or bad: it is this host
NO_NEIGHBOUR = {"FAILED", "INCOMPLETE"}
_PROHIBITED = {4: {9, 10, 13}, 6: {1, 5, 6}}  # ICMP codes of type 3 (RFC 1812 5.2.7.1) and ICMPv6 codes of type 1 (RFC 4443 3.1)


@dataclass(frozen=True)
class Facts:
    """What was seen. `again` is a plain connect after the half-open SYN; `counters` are the interface's, by what they grew meanwhile.

    `way` and `link` are the route, next hop and link in depth, None where the link child could not say.
    """

    outcome: Outcome
    route: Route | None = None
    route_error: int = 0
    neighbour: str = ""
    look: SynTrace | None = None
    no_look: str = ""
    again: Outcome | None = None
    others: int = 0
    others_bad: int = 0
    last: tuple[str, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    way: RouteInfo | None = None
    link: LinkDetails | None = None


@dataclass(frozen=True)
class Diagnosis:
    """The line for people, all of it for machines, and `own`: the reason where this host itself is at fault, else None."""

    line: str
    evidence: Mapping[str, Any]
    own: Reason | None = None


def conclude(facts: Facts) -> Diagnosis:
    """Say where the answer gets lost, how the next hop is, and whether others are in trouble too."""
    finding, own = _finding(facts)
    neighbour = f"neighbour {facts.neighbour}" if facts.neighbour and facts.neighbour not in NO_NEIGHBOUR else ""
    lost = ", ".join(f"{count} {name}" for name, count in facts.counters.items() if count and not name.endswith(("packets", "carrier")))
    interface = f"{facts.route.interface if facts.route else 'the interface'} meanwhile: {lost}" if lost else ""
    blame = "" if own is not None else _blame(facts)
    line = "; ".join(part for part in (finding, neighbour, interface, blame) if part)
    return Diagnosis(line, _evidence(facts), own)


def _finding(facts: Facts) -> tuple[str, Reason | None]:
    """Name the first thing that explains it, from here outwards; the reason is given where that is this host's own fault."""
    if facts.route_error:
        return f"this host has no route to it ({os.strerror(facts.route_error).lower()})", Reason.NET_UNREACHABLE
    if facts.neighbour in NO_NEIGHBOUR and facts.route:
        return _no_neighbour(facts.route, facts.neighbour)
    if facts.look is None:
        return facts.no_look, None
    return _heard(facts, facts.look.syn)


def _no_neighbour(way: Route, state: str) -> tuple[str, Reason | None]:
    """Tell a silent gateway, which is our side's trouble, from a target on our own wire that is off."""
    if way.gateway:
        return f"the gateway {way.gateway} is silent on {way.interface} ({state})", Reason.HOST_UNREACHABLE
    return f"nobody on {way.interface} answers for its address ({state})", None


def _heard(facts: Facts, syn: ProbeAnswer) -> tuple[str, Reason | None]:
    """Say what came of the half-open SYN."""
    if syn.kind == "local":
        reason = Reason.PERMISSION if syn.error in {errno.EPERM, errno.EACCES} else Reason.LOCAL_RESOURCES
        return f"this host itself refuses to send to it ({os.strerror(syn.error).lower()})", reason
    if syn.kind == "syn_ack":
        return _answered(facts)
    if syn.kind == "reset":
        return f"the target itself refuses, {_away(facts)}", None
    if syn.kind == "unreachable":
        prohibited = syn.code in _PROHIBITED[6 if ":" in syn.sender else 4]
        return f"{syn.sender} says {'prohibited' if prohibited else 'unreachable'}", None
    return _silent(facts), None


def _answered(facts: Facts) -> tuple[str, Reason | None]:
    if facts.outcome.reason is not Reason.ANSWERED and facts.again is not None and facts.again.reason is Reason.TIMEOUT:
        return "its SYN-ACK does reach this host, whose own firewall or rp_filter drops it", Reason.PERMISSION
    lossy = facts.outcome.reason is Reason.ANSWERED
    return f"{'SYNs are lost on the way' if lossy else 'it answers a half-open SYN now'}, {_away(facts)}", None


def _silent(facts: Facts) -> str:
    assert facts.look is not None  # noqa: S101 — asked before
    last = facts.look.trace.last
    return f"SYN-ACK missing after hop {last.ttl} {last.address}" if last else "SYN-ACK missing, and no router on the way answers"


def _away(facts: Facts) -> str:
    hops = len(facts.look.trace.hops) if facts.look else 0
    return "on this wire" if not hops else f"{hops} hop{'s' if hops != 1 else ''} away"


def _blame(facts: Facts) -> str:
    """Compare with the others: one bad target among good ones is its own trouble, one among bad ones is ours."""
    fine = facts.others - facts.others_bad
    if not facts.others:
        return "there is no other target to compare with"
    if fine >= MOSTLY * facts.others:
        who = "the service on it" if facts.outcome.reason in {Reason.REFUSED, Reason.RESET} else "the target or its security group"
        return f"{fine} of {facts.others} other targets fine: {who}"
    words = f"{facts.others_bad} of {facts.others} other targets bad, too"
    return f"{words}: this host or its network" if facts.others_bad >= MOSTLY * facts.others else f"{words}: something they share"


def _evidence(facts: Facts) -> dict[str, Any]:
    found: dict[str, Any] = {
        "route": facts.route._asdict() if facts.route else os.strerror(facts.route_error) if facts.route_error else None,
        "neighbour": facts.neighbour or None,
        **_in_depth(facts),
        "others": facts.others,
        "others_bad": facts.others_bad,
        "last": list(facts.last),
        "interface_counters_grew": dict(facts.counters),
    }
    if facts.look:
        found["half_open_syn"] = {name: getattr(facts.look.syn, name) for name in ("kind", "sender", "rtt", "tries", "code", "error")}
        found["trace"] = [hop._asdict() for hop in facts.look.trace.hops]
        found["trace_end"] = {"kind": facts.look.trace.end, "sender": facts.look.trace.sender}
    else:
        found["no_packets"] = facts.no_look
    if facts.again is not None:
        found["connect_again"] = LABELS[facts.again.reason]
    return found


def _in_depth(facts: Facts) -> dict[str, Any]:
    """Add which table and protocol the route is of, whose hardware the next hop is, and what the link's queues have dropped since boot."""
    found: dict[str, Any] = {}
    if (way := facts.way) and not way.error:
        found["route_from"] = {"table": way.table, "protocol": way.protocol, "kind": way.kind}
        found["next_hop"] = {"hardware": way.hardware or None, "seconds_since_confirmed": way.confirmed}
    if link := facts.link:
        queues = [{"kind": queue.kind, "dropped": queue.dropped, "waiting": queue.backlog} for queue in link.queues]
        found["link"] = {"kind": link.kind, "state": link.state, "master": link.master, "xdp": link.xdp, "queues": queues}
    return found
