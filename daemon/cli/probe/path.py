"""`vitald probe --mtu`, `--trace` and `--syn`: queries about the path to a target, with crafted packets."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from collectors.model import BadInput, Unavailable
from collectors.packets.client import PacketClient
from collectors.packets.traceroute import syn_trace
from collectors.path_mtu.collector import endpoint_of
from collectors.path_mtu.judge import judge_path
from collectors.path_mtu.search import search
from collectors.probe.connect import half_open
from collectors.probe.connect.result import ProbeResult, Reason
from collectors.probe.dns.lookup import look_up

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from collectors.packets.protocol import Endpoint, ProbeScript
    from collectors.packets.traceroute import SynTrace
    from collectors.path_mtu.search import PathMtuResult
    from collectors.probe.targets.target import SocketAddress, Target

MAX_SECONDS = 300.0  # for all targets together


class _PathReport(NamedTuple):
    lines: list[str]
    as_json: dict[str, Any]
    is_healthy: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three flags; they need CAP_NET_RAW."""
    kinds = parser.add_argument_group("crafted packets, as root or with CAP_NET_RAW").add_mutually_exclusive_group()
    kinds.add_argument("--mtu", action="store_true", help="find the largest packet that reaches each target, and black holes")
    kinds.add_argument("--trace", action="store_true", help="trace the path of a SYN to each target's port, hop by hop")
    kinds.add_argument("--syn", action="store_true", help="half-open: a SYN and a RST, so that the service sees no connect")


def rounds(targets: Sequence[Target], arguments: argparse.Namespace) -> Iterator[list[ProbeResult]]:
    """Probe all targets half-open, once an interval."""
    client, begun = PacketClient(), time.monotonic()
    for made in range(arguments.count or sys.maxsize):
        time.sleep(max(0.0, begun + made * arguments.interval - time.monotonic()))
        resolved = {target.text: _resolve(target) for target in targets}
        results: dict[str, ProbeResult] = {text: to for text, to in resolved.items() if isinstance(to, ProbeResult)}
        addresses = {text: to for text, to in resolved.items() if not isinstance(to, ProbeResult)}
        results |= half_open.probe(client, addresses, arguments.timeout)
        if made == 0 and all(result.reason is Reason.PERMISSION and result.local_error for result in results.values()):
            raise BadInput("--syn needs CAP_NET_RAW, or a firewall of this host rejects every SYN; run it as root")
        yield [results[target.text] for target in targets]


def run(targets: Sequence[Target], arguments: argparse.Namespace) -> int:
    """Query the path to each target once. Return the exit status: 0 if all are healthy, else 1; BadInput without CAP_NET_RAW."""
    report: Callable[[Any, Endpoint], _PathReport] = _mtu_report if arguments.mtu else _trace_report
    scripts: dict[str, tuple[Endpoint, ProbeScript[Any]]] = {}
    reports: dict[str, _PathReport] = {}
    for target in targets:
        try:
            endpoint = _endpoint(target)
        except OSError as error:
            reports[target.text] = _failed("this host cannot send to it: " + (error.strerror or str(error)), str(error))
            continue
        scripts[target.text] = (endpoint, search(endpoint) if arguments.mtu else syn_trace())
    try:
        results = PacketClient().run(scripts, MAX_SECONDS)
    except Unavailable as error:
        raise BadInput(f"{error}; run it as root") from None
    for text, (endpoint, _) in scripts.items():
        failed = _failed(results.failure, results.failure)
        reports[text] = report(results.found[text], endpoint) if text in results.found else failed
    if arguments.format == "json":
        document = {"targets": [{"target": target.text, **reports[target.text].as_json} for target in targets]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        for target in targets:
            sys.stdout.write("\n".join([f"--- {target.text} ---", *reports[target.text].lines, ""]))
    return 0 if all(found.is_healthy for found in reports.values()) else 1


def _failed(line: str, error: str) -> _PathReport:
    return _PathReport([line], {"error": error}, is_healthy=False)


def _mtu_report(result: PathMtuResult, endpoint: Endpoint) -> _PathReport:
    verdict = judge_path("", result)
    lines = [f"path MTU: {result.mtu or 'unknown'} bytes, from {endpoint.source}", verdict.message, verdict.remediation]
    as_json = {**result._asdict(), "message": verdict.message, "remediation": verdict.remediation}
    return _PathReport(list(filter(None, lines)), as_json, result.answered and not result.black_hole and not result.padded_dropped)


def _trace_report(result: SynTrace, endpoint: Endpoint) -> _PathReport:
    syn, hops = result.syn, result.trace.hops
    lines = [f"{hop.ttl:>3}  {hop.address or '*':<40} {f'{hop.rtt / 1e3:.3f} ms' if hop.rtt else ''}".rstrip() for hop in hops]
    ends = {"syn_ack": "answers", "reset": "refuses", "silent": "no answer", "local": f"not sent: {os.strerror(syn.error)}"}
    end = ends.get(syn.kind, f"ICMP unreachable from {syn.sender}")
    rtt = f" {syn.rtt / 1e3:.3f} ms" if syn.from_target else ""
    lines.append(f"{len(hops) + 1 if syn.from_target else '':>3}  {endpoint.target:<40} {end}{rtt}".rstrip())
    as_json = {"hops": [hop._asdict() for hop in hops], "kind": syn.kind, "sender": syn.sender, "rtt": syn.rtt}
    return _PathReport(lines, as_json, syn.kind == "syn_ack")


def _endpoint(target: Target) -> Endpoint:
    address = _resolve(target)
    if isinstance(address, ProbeResult):
        raise OSError(0, f"no address: {address.reason.name.lower().replace('_', ' ')}")
    endpoint = endpoint_of(address)
    if endpoint is None:
        raise OSError(0, "it is this very host, so there is no path to it")
    return endpoint


def _resolve(target: Target) -> SocketAddress | ProbeResult:
    if target.address:
        return target.address
    answer = look_up(target.host)
    if answer.failure:
        return answer.failure
    sockaddr = answer.addresses[0].sockaddr
    return answer.addresses[0]._replace(sockaddr=(sockaddr[0], target.port, *sockaddr[2:]))
