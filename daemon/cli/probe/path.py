"""`vitald probe --mtu`, `--trace` and `--syn`: what crafted packets say of the way to a target."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from collectors.model import BadInput, Unavailable
from collectors.packets.client import PacketClient
from collectors.packets.traceroute import syn_trace
from collectors.path_mtu import judge as path_verdict
from collectors.path_mtu.collector import place_of
from collectors.path_mtu.search import search
from collectors.probe.connect import half_open
from collectors.probe.connect.outcome import Outcome, Reason
from collectors.probe.dns.lookup import look_up

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from collectors.packets.protocol import Endpoint, ProbeScript
    from collectors.packets.traceroute import SynTrace
    from collectors.path_mtu.search import Found
    from collectors.probe.targets.target import Address, Target

LONGEST = 300.0  # seconds for all targets together


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three; they need CAP_NET_RAW."""
    kinds = parser.add_argument_group("crafted packets, as root or with CAP_NET_RAW").add_mutually_exclusive_group()
    kinds.add_argument("--mtu", action="store_true", help="find the largest packet that reaches each target, and black holes")
    kinds.add_argument("--trace", action="store_true", help="trace the way of a SYN to each target's port, hop by hop")
    kinds.add_argument("--syn", action="store_true", help="half-open: a SYN and a RST, so that the service sees no connect")


def wanted(arguments: argparse.Namespace) -> bool:
    """Tell whether the answer is about the way, and not a series of tries."""
    return bool(arguments.mtu or arguments.trace)


def run(targets: Sequence[Target], arguments: argparse.Namespace) -> int:
    """Look at the way to each target once; gives the exit status: 0 if all is well, 1 if not, 2 where nothing could be looked at."""
    if arguments.mtu:
        return _look(targets, arguments.format, search, _mtu)
    return _look(targets, arguments.format, lambda _: syn_trace(), _trace)


def rounds(targets: Sequence[Target], arguments: argparse.Namespace) -> Iterator[list[Outcome]]:
    """Probe all targets half-open, again and again at the interval."""
    child, begun, made = PacketClient(), time.monotonic(), 0
    while not arguments.count or made < arguments.count:
        time.sleep(max(0.0, begun + made * arguments.interval - time.monotonic()))
        addresses = {target.text: _address(target) for target in targets}
        found: dict[str, Outcome] = {text: at for text, at in addresses.items() if isinstance(at, Outcome)}
        places = {text: at for text, at in addresses.items() if not isinstance(at, Outcome)}
        found |= half_open.probe(child, places, arguments.timeout)
        made += 1
        if made == 1 and all(one.reason is Reason.PERMISSION and one.own_fault for one in found.values()):
            raise BadInput("--syn needs CAP_NET_RAW, or a firewall of this host refuses every SYN; run it as root")
        yield [found[target.text] for target in targets]


def _look(
    targets: Sequence[Target], form: str, course: Callable[[Endpoint], ProbeScript[Any]], say: Callable[[Any, Endpoint], _Said]
) -> int:
    plays: dict[str, tuple[Endpoint, ProbeScript[Any]]] = {}
    said: dict[str, _Said] = {}
    for target in targets:
        try:
            place = _place(target)
        except OSError as error:
            said[target.text] = (["this host cannot send to it: " + (error.strerror or str(error))], {"error": str(error)}, False)
            continue
        plays[target.text] = (place, course(place))
    try:
        results = PacketClient().run(plays, LONGEST)
    except Unavailable as why:
        raise BadInput(f"{why}; run it as root") from None
    for text, (place, _) in plays.items():
        failed = ([results.failure], {"error": results.failure}, False)
        said[text] = say(results.found[text], place) if text in results.found else failed
    if form == "json":
        sys.stdout.write(json.dumps({"targets": [{"target": target.text, **said[target.text][1]} for target in targets]}, indent=2) + "\n")
    else:
        for target in targets:
            sys.stdout.write("\n".join([f"--- {target.text} ---", *said[target.text][0], ""]))
    return 0 if all(well for _, _, well in said.values()) else 1


_Said = tuple[list[str], dict[str, Any], bool]  # the lines for people, the same for machines, and whether all is well


def _mtu(found: Found, place: Endpoint) -> _Said:
    verdict = path_verdict.judge("", found)
    lines = [f"path MTU: {found.mtu or 'unknown'} bytes, from {place.source}", verdict.message]
    well = found.answered and not found.black_hole and not found.padded_dropped
    return (
        [*lines, *([verdict.remediation] if verdict.remediation else [])],
        {**found._asdict(), "message": verdict.message, "remediation": verdict.remediation},
        well,
    )


def _trace(seen: SynTrace, place: Endpoint) -> _Said:
    lines = [f"{hop.ttl:>3}  {hop.address or '*':<40} {f'{hop.rtt / 1e3:.3f} ms' if hop.rtt else ''}".rstrip() for hop in seen.trace.hops]
    answered = seen.syn.from_target
    words = {"syn_ack": "answers", "reset": "refuses", "silent": "is silent", "local": f"not sent: {os.strerror(seen.syn.error)}"}
    end = words.get(seen.syn.kind, f"{seen.syn.sender} says unreachable")
    far = f" {seen.syn.rtt / 1e3:.3f} ms" if answered else ""
    lines.append(f"{len(seen.trace.hops) + 1 if answered else '':>3}  {place.target:<40} {end}{far}".rstrip())
    hops = [hop._asdict() for hop in seen.trace.hops]
    return lines, {"hops": hops, "kind": seen.syn.kind, "sender": seen.syn.sender, "rtt": seen.syn.rtt}, seen.syn.kind == "syn_ack"


def _place(target: Target) -> Endpoint:
    address = _address(target)
    if isinstance(address, Outcome):
        raise OSError(0, f"no address: {address.reason.name.lower().replace('_', ' ')}")
    place = place_of(address)
    if place is None:
        raise OSError(0, "it is this very host, so there is no way to look at")
    return place


def _address(target: Target) -> Address | Outcome:
    if target.address:
        return target.address
    answer = look_up(target.host)
    if answer.failure:
        return answer.failure
    sockaddr = answer.addresses[0].sockaddr
    return answer.addresses[0]._replace(sockaddr=(sockaddr[0], target.port, *sockaddr[2:]))
