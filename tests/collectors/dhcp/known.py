"""Leases as literals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.dhcp.addresses import Address
from collectors.dhcp.judge import judge_leases

if TYPE_CHECKING:
    from collectors.dhcp.lease_files import LeaseRecord
    from collectors.dhcp.leases import Lease
    from collectors.model import Level

LINKS = {"eth0": 2}
NAMES = {2: "eth0"}


def address(valid: float | None, tstamp: int = 0, name: str = "10.0.0.56", *, age: float = 0.0, preferred: float | None = None) -> Address:
    return Address("eth0", 2, name, valid, valid if preferred is None else preferred, age, tstamp)


def level(lease: Lease, now: float = 0.0, files: dict[str, LeaseRecord] | None = None) -> tuple[Level, str]:
    (verdict,) = judge_leases({(lease.interface, lease.address): lease}, files or {}, now)
    return verdict.level, verdict.message
