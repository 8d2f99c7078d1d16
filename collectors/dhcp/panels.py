"""The leases as a table that people read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.dhcp.judge import finding
from collectors.panel import Panel
from collectors.text import span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.dhcp.lease_files import OnFile
    from collectors.dhcp.leases import Lease, Leases

COLUMNS = ("address", "interface", "now", "lost in", "of the lease", "renewals seen", "client")


def panel(known: Leases, files: Mapping[str, OnFile], now: float) -> Panel:
    """Give the table: the worst first, then what is lost soonest."""
    order = sorted(known.leases.values(), key=lambda lease: (-finding(lease, now)[0], lease.remaining(now), lease.address))
    return Panel("DHCP leases", COLUMNS, tuple(_row(lease, known.renewals, files.get(lease.address), now) for lease in order))


def _row(lease: Lease, renewals: Mapping[str, int], on_file: OnFile | None, now: float) -> tuple[str, ...]:
    level, message = finding(lease, now)
    lost = lease.lost is not None
    state = "lost" if lost else message.partition(";")[0] if level else "in order"
    share = f"{lease.remaining(now) / lease.seconds:.0%} of {span(lease.seconds)}" if lease.seconds > 0 else ""
    renewed = str(renewals.get(lease.interface, 0))
    left = "" if lost else span(lease.remaining(now))
    return lease.address, lease.interface, state, left, "" if lost else share, renewed, on_file.client if on_file else ""
