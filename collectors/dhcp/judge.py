"""Verdict `dhcp_lease`: the countdown of a lease. Pure.

RFC 2131, 4.4.5: a client renews at T1 (half of the lease) and, without an answer, rebinds with any server from T2 (7/8) on. So less than
45 % left is a missed renewal: the five points are the client's own randomization. DHCPv6 has its T1 and T2 within the preferred lifetime
(RFC 8415, 14.2), so a leased address that the kernel deprecated was not renewed either.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.text import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.dhcp.lease_files import LeaseRecord
    from collectors.dhcp.leases import Lease

MISSED = 0.45
REBIND = 0.125
DISAGREE = 0.1  # of the lease, between the client's lease file and the kernel
_REMEDIATION = (  # journalctl joins -u and -t by "and", matches by "+" with "or"; dhclient removes address and routes when the lease ends
    "journalctl -b -n 50 SYSLOG_IDENTIFIER=dhclient + SYSLOG_IDENTIFIER=dhcpcd + SYSLOG_IDENTIFIER=systemd-networkd"
    " + SYSLOG_IDENTIFIER=NetworkManager; if the server does not answer: vitald runbook DhcpLeaseExpiring; else renew now: "
    "networkctl renew {0}, nmcli device reapply {0}, or dhclient -1 -v {0}"
)


def judge_leases(leases: Mapping[tuple[str, str], Lease], files: Mapping[str, LeaseRecord], now: float) -> Iterator[Verdict]:
    """Judge each lease; the subject is the address. Of the same address on two interfaces the worse verdict is returned."""
    worst: dict[str, Verdict] = {}
    for lease in leases.values():
        verdict = _judge(lease, files.get(lease.address), now)
        if lease.address not in worst or verdict.level.severity > worst[lease.address].level.severity:
            worst[lease.address] = verdict
    yield from worst.values()


def _judge(lease: Lease, record: LeaseRecord | None, now: float) -> Verdict:
    level, message = finding(lease, now)
    remediation = _REMEDIATION.format(shlex.quote(lease.interface)) if level else ""
    return Verdict("dhcp_lease", lease.address, level, message, _evidence(lease, record, now), remediation)


def finding(lease: Lease, now: float) -> tuple[Level, str]:
    """Return the level and message of one lease."""
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


def _evidence(lease: Lease, record: LeaseRecord | None, now: float) -> dict[str, Any]:
    left = lease.remaining(now)
    facts: dict[str, Any] = {
        "interface": lease.interface,
        "remaining_seconds": round(left),
        "lease_seconds": round(lease.seconds),
        "left": f"{left / lease.seconds if lease.seconds > 0 else 0.0:.0%}",
    }
    if record is None:
        return facts
    facts |= {"client": record.client, "lease_file": record.path, "lease_file_seconds": record.seconds}
    if record.seconds and abs(record.seconds - lease.seconds) > DISAGREE * max(record.seconds, lease.seconds):
        text = f"the lease file says {record.seconds} s, the kernel {lease.seconds:.0f} s: the kernel removes the address"
        facts["disagreement"] = text
    return facts
