"""Turn a path-MTU result into a verdict."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict

if TYPE_CHECKING:
    from collectors.path_mtu.search import PathMtuResult

CHECK = "path_mtu"
_REMEDIATION = (
    "Allow ICMP type 3 code 4 (IPv6: ICMPv6 type 2) in security groups, network ACLs and firewalls on the path; "
    "until then lower the route's MTU: ip route change ... mtu {mtu}"
)


def judge_path(target: str, result: PathMtuResult) -> Verdict:
    """Return a finding where large packets are lost without an ICMP error: TCP hangs as soon as it sends a large segment."""
    facts = {name: value for name, value in result._asdict().items() if value or name == "mtu"}
    if result.black_hole:
        return _black_hole(target, result, facts)
    return Verdict(CHECK, target, Level.HEALTHY, _describe(result), facts)


def _black_hole(target: str, result: PathMtuResult, facts: dict[str, Any]) -> Verdict:
    message = f"black hole: packets above {result.mtu} bytes are lost without an ICMP error, up to {result.sent} may leave here"
    remediation = _REMEDIATION.format(mtu=result.mtu)
    if result.is_tcp_safe:
        return Verdict(
            CHECK, target, Level.WARNING, f"{message}; TCP is not affected at the target's MSS of {result.mss}", facts, remediation
        )
    return Verdict(CHECK, target, Level.CRITICAL, f"{message}; TCP will hang on the first large segment", facts, remediation)


def _describe(result: PathMtuResult) -> str:
    if result.send_error:
        return f"not measured: this host could not send ({os.strerror(result.send_error).lower()})"
    if not result.answered:
        return "not measured: a bare SYN is not answered either (see tcp_probe)"
    if result.padded_dropped:
        return "not measured: the target or a firewall before it drops SYNs that carry data, whatever their size"
    if result.mtu < result.sent:
        icmp = f"; ICMP error from {result.hop}, which the kernel applies" if result.hop else ""
        return f"packets of up to {result.mtu} bytes pass, {result.sent} may leave here{icmp}"
    return f"packets of up to {result.mtu} bytes pass, all that may leave here"
