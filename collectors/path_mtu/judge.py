"""What was found of a path's MTU means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict

if TYPE_CHECKING:
    from collectors.path_mtu.search import Found

CHECK = "path_mtu"
_REMEDIATION = (
    "Let ICMP type 3 code 4 (IPv6: ICMPv6 type 2) through security groups, network ACLs and firewalls on the way; "
    "until then lower the route's MTU: ip route change ... mtu {mtu}"
)


def judge(target: str, found: Found) -> Verdict:
    """Say whether large frames reach the target, or are lost without a word: then TCP hangs as soon as it has much to send."""
    facts = {name: value for name, value in found._asdict().items() if value or name == "mtu"}
    if found.black_hole:
        return _black_hole(target, found, facts)
    return Verdict(CHECK, target, Level.HEALTHY, _words(found), facts)


def _black_hole(target: str, found: Found, facts: dict[str, Any]) -> Verdict:
    message = f"black hole: packets above {found.mtu} bytes are lost and no ICMP says so, {found.sent} may leave here"
    remediation = _REMEDIATION.format(mtu=found.mtu)
    if found.tcp_is_spared:
        return Verdict(CHECK, target, Level.WARNING, f"{message}; TCP is spared by the target's MSS of {found.mss}", facts, remediation)
    return Verdict(CHECK, target, Level.CRITICAL, f"{message}; TCP will hang on the first large segment", facts, remediation)


def _words(found: Found) -> str:
    if found.local:
        return f"could not be tried: {os.strerror(found.local).lower()}, which is this host's own doing"
    if not found.answered:
        return "could not be tried: a bare SYN is not answered either (see tcp_probe)"
    if found.padded_dropped:
        return "cannot be measured: the target or a firewall before it drops SYNs that carry data, whatever their size"
    if found.mtu < found.sent:
        return f"{found.mtu} bytes pass of {found.sent}" + (f"; {found.hop} says so, and the kernel goes by it" if found.hop else "")
    return f"{found.mtu} bytes pass, all that may leave here"
