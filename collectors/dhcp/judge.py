"""What a lease's countdown means. Pure.

RFC 2131, 4.4.5: a client renews at T1 (half of the lease) and, where that server stays silent, asks any server from T2 (7/8) on.
So less than 45 % left means that a renewal was missed: the five points are the client's own spread. DHCPv6 counts its T1 and T2 within
the preferred lifetime (RFC 8415, 14.2), so a leased address that the kernel had to deprecate was not renewed either.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.text import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.dhcp.lease_files import OnFile
    from collectors.dhcp.leases import Lease

MISSED = 0.45
REBIND = 0.125
DISAGREE = 0.1  # of the lease, between what the client wrote down and what the kernel counts
_REMEDIATION = (
    "journalctl -u systemd-networkd -u NetworkManager -u 'ifup@*' -t dhclient -t dhcpcd; then make the client ask now: "
    "networkctl renew {0}, nmcli device reapply {0}, or dhclient -1 -v {0}"
)


def verdicts(leases: Mapping[tuple[str, str], Lease], files: Mapping[str, OnFile], now: float) -> Iterator[Verdict]:
    """Judge each lease; the subject is the address. Of the same address on two interfaces the worse one counts."""
    worst: dict[str, Verdict] = {}
    for lease in leases.values():
        verdict = _judge(lease, files.get(lease.address), now)
        if lease.address not in worst or verdict.level > worst[lease.address].level:
            worst[lease.address] = verdict
    yield from worst.values()


def _judge(lease: Lease, on_file: OnFile | None, now: float) -> Verdict:
    level, message = finding(lease, now)
    remediation = _REMEDIATION.format(shlex.quote(lease.interface)) if level else ""
    return Verdict("dhcp_lease", lease.address, level, message, _evidence(lease, on_file, now), remediation)


def finding(lease: Lease, now: float) -> tuple[Level, str]:
    """Judge one lease at a time: how bad it is, and what there is to say."""
    left, place = lease.remaining(now), f"address {lease.address} on {lease.interface}"
    share = left / lease.seconds if lease.seconds > 0 else 0.0
    if lease.lost is not None:
        since = span(now - lease.lost)
        return Level.CRITICAL, f"address {lease.address} vanished from {lease.interface} {since} ago, and no other took its place"
    if share < REBIND:
        return Level.CRITICAL, f"renewal and rebinding missed; {place} is lost in {span(left)}"
    if share < MISSED:
        return Level.WARNING, f"renewal missed; {place} is lost in {span(left)}"
    if lease.preferred_ends is not None and lease.preferred_ends <= now:
        return Level.WARNING, f"renewal missed; {place} is deprecated: no new connection uses it, and it is lost in {span(left)}"
    return Level.HEALTHY, ""


def _evidence(lease: Lease, on_file: OnFile | None, now: float) -> dict[str, Any]:
    left = lease.remaining(now)
    told: dict[str, Any] = {
        "interface": lease.interface,
        "remaining_seconds": round(left),
        "lease_seconds": round(lease.seconds),
        "left": f"{left / lease.seconds if lease.seconds > 0 else 0.0:.0%}",
    }
    if on_file is None:
        return told
    told |= {"client": on_file.client, "lease_file": on_file.path, "lease_file_seconds": on_file.seconds}
    if on_file.seconds and abs(on_file.seconds - lease.seconds) > DISAGREE * max(on_file.seconds, lease.seconds):
        text = f"the lease file says {on_file.seconds} s, the kernel {lease.seconds:.0f} s: the kernel removes the address"
        told["disagreement"] = text
    return told
