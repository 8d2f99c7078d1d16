"""What a lease's countdown means. Pure.

RFC 2131, 4.4.5: a client renews at T1 (half of the lease) and, where that server stays silent, asks any server from T2 (7/8) on.
So less than 45 % left means that a renewal was missed: the five points are the client's own spread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.dhcp.leasefiles import OnFile
    from collectors.dhcp.leases import Lease

MISSED = 0.45
REBIND = 0.125
DISAGREE = 0.1  # of the lease, between what the client wrote down and what the kernel counts
_MEND = (
    "journalctl -u systemd-networkd -u NetworkManager -u 'ifup@*' -t dhclient -t dhcpcd; then make the client ask now: "
    "networkctl renew {0}, nmcli device reapply {0}, or dhclient -1 -v {0}"
)


def span(seconds: float) -> str:
    """Say a time as people do: 21 min, 40 s."""
    if seconds < 100:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"


def verdicts(leases: Mapping[tuple[str, str], Lease], files: Mapping[str, OnFile], now: float) -> Iterator[Verdict]:
    """Judge each lease; the subject is the address."""
    for lease in leases.values():
        yield _judge(lease, files.get(lease.address), now)


def _judge(lease: Lease, on_file: OnFile | None, now: float) -> Verdict:
    left, name, address = lease.remaining(now), lease.interface, lease.address
    share = left / lease.seconds if lease.seconds > 0 else 0.0
    evidence: dict[str, Any] = {
        "interface": name,
        "remaining_seconds": round(left),
        "lease_seconds": round(lease.seconds),
        "left": f"{share:.0%}",
    }
    if on_file is not None:
        evidence |= {"client": on_file.client, "lease_file": on_file.path, "lease_file_seconds": on_file.seconds}
        if on_file.seconds and abs(on_file.seconds - lease.seconds) > DISAGREE * max(on_file.seconds, lease.seconds):
            evidence["disagreement"] = (
                f"the lease file says {on_file.seconds} s, the kernel {lease.seconds:.0f} s: the kernel removes the address"
            )
    mend = _MEND.format(name)
    if lease.lost is not None:
        text = f"address {address} vanished from {name} {span(now - lease.lost)} ago, and no other took its place"
        return Verdict("dhcp_lease", address, Level.CRITICAL, text, evidence, mend)
    if share < REBIND:
        text = f"renewal and rebinding missed; address {address} on {name} is lost in {span(left)}"
        return Verdict("dhcp_lease", address, Level.CRITICAL, text, evidence, mend)
    if share < MISSED:
        return Verdict(
            "dhcp_lease", address, Level.WARNING, f"renewal missed; address {address} on {name} is lost in {span(left)}", evidence, mend
        )
    return Verdict("dhcp_lease", address, Level.HEALTHY, "", evidence)
