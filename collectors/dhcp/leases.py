"""What becomes of leases from look to look: renewals, losses. Pure; the collector keeps it in its slot across restarts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.dhcp.addresses import Address

MOST = 256  # leases followed
LOST_SECONDS = 86_400.0  # how long a lost lease is spoken of: after a day somebody has meant it
JUMP_SECONDS = 2.0  # a lifetime that ends that much later than it would have was set anew


@dataclass(frozen=True, slots=True)
class Lease:
    """A dynamic address. Times are CLOCK_MONOTONIC's seconds, which the kernel counts lifetimes by; they hold for one boot."""

    interface: str
    index: int
    address: str
    ends: float
    seconds: float  # of the whole lease
    deprecated: bool = False
    lost: float | None = None  # since when it has been gone, before its interface had another of its family

    def remaining(self, now: float) -> float:
        """Seconds left."""
        return max(0.0, self.ends - now)


@dataclass(frozen=True, slots=True)
class Leases:
    """All leases, present and lost, and each interface's renewals since we first saw it have one."""

    leases: Mapping[tuple[str, str], Lease] = field(default_factory=dict)
    renewals: Mapping[str, int] = field(default_factory=dict)


def follow(known: Leases, seen: Iterable[Address], links: Mapping[str, int], now: float) -> Leases:
    """Bring what is known up to date. `links` are the interfaces there are, with their indexes."""
    present = list(seen)
    dynamic = [address for address in present if address.remaining is not None][:MOST]
    replaced = {(address.interface, _family(address.address)) for address in dynamic}
    static = {(address.interface, address.address) for address in present if address.remaining is None}
    leases: dict[tuple[str, str], Lease] = {}
    renewals = dict(known.renewals)
    for found in dynamic:
        key = found.interface, found.address
        before = known.leases.get(key)
        lease = leases[key] = _lease(found, before, now)
        renewals.setdefault(found.interface, 0)
        if before is not None and before.lost is None and lease.ends > before.ends + JUMP_SECONDS:
            renewals[found.interface] += 1
    for key, before in known.leases.items():
        interface, address = key
        if key in leases or key in static or (interface, _family(address)) in replaced or links.get(interface) != before.index:
            continue
        lost = now if before.lost is None else before.lost
        if now - lost < LOST_SECONDS:
            leases[key] = replace(before, lost=lost)
    return Leases(leases, {interface: count for interface, count in renewals.items() if interface in links})


def _family(address: str) -> bool:
    return ":" in address


def _lease(address: Address, before: Lease | None, now: float) -> Lease:
    """Join what is seen with what was known. A client that starts again may set what is left of its lease: the longer length holds."""
    ends, seconds = now + (address.remaining or 0.0), address.lease or 0.0
    if before is not None and before.lost is None:
        if abs(ends - before.ends) <= JUMP_SECONDS:  # the kernel counts in whole seconds: no news
            ends = before.ends
        if ends <= before.ends:
            seconds = max(seconds, before.seconds)
    return Lease(address.interface, address.index, address.address, ends, seconds, address.deprecated)


def dump(known: Leases, boot: str) -> dict[str, Any]:
    """Give it as plain JSON values."""
    rows = [[lease.interface, lease.index, lease.address, lease.ends, lease.seconds, lease.lost] for lease in known.leases.values()]
    return {"boot": boot, "leases": rows, "renewals": dict(known.renewals)}


def restore(saved: Any, boot: str) -> Leases:  # noqa: ANN401 — whatever lay in the slot
    """Read what `dump` gave in this boot; of another boot, or of another making, nothing is kept."""
    if not isinstance(saved, dict) or saved.get("boot") != boot or not isinstance(saved.get("leases"), list):
        return Leases()
    leases = {}
    for row in saved["leases"][:MOST]:
        match row:
            case [str() as interface, int() as index, str() as address, int() | float() as ends, int() | float() as seconds, lost]:
                gone = float(lost) if isinstance(lost, (int, float)) else None
                leases[interface, address] = Lease(interface, index, address, float(ends), float(seconds), lost=gone)
    counted = saved.get("renewals")
    pairs = counted.items() if isinstance(counted, dict) else ()
    return Leases(leases, {str(name): count for name, count in list(pairs)[:MOST] if isinstance(count, int) and count >= 0})
