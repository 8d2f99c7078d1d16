"""What becomes of leases from look to look: renewals, losses. Pure; the collector keeps it in its slot across restarts."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.dhcp.addresses import Address

MOST = 256  # leases followed
LOST_SECONDS = 86_400.0  # how long a lost lease is spoken of: after a day somebody has meant it
JUMP_SECONDS = 2.0  # the kernel tells lifetimes in whole seconds: an end that is off by less is the same end
DRIFT_SECONDS = 10.0  # an end that is off by more was set anew, also within one and the same tick of the kernel's


@dataclass(frozen=True, slots=True)
class Lease:
    """A dynamic address. Times are CLOCK_MONOTONIC's seconds, which the kernel counts lifetimes by; they hold for one boot."""

    interface: str
    index: int
    address: str
    ends: float
    seconds: float  # of the whole lease
    stamp: int = 0  # the kernel's mark of when it was set
    preferred_ends: float | None = None  # None: never, or it was set as deprecated
    lost: float | None = None  # since when it has been gone, and its interface has had no other of its family

    def remaining(self, now: float) -> float:
        """Seconds left."""
        return max(0.0, self.ends - now)


@dataclass(frozen=True, slots=True)
class Leases:
    """All leases, present and lost, and each interface's renewals since we first saw it have one."""

    leases: Mapping[tuple[str, str], Lease] = field(default_factory=dict)
    renewals: Mapping[str, int] = field(default_factory=dict)

    def indexes(self) -> frozenset[int]:
        """Name the interfaces that have or had one, by the kernel's numbers."""
        return frozenset(lease.index for lease in self.leases.values())


def follow(known: Leases, seen: Iterable[Address], links: Mapping[str, int], now: float) -> Leases:
    """Bring what is known up to date. `links` are the interfaces there are, with their indexes."""
    present = list(seen)
    dynamic = [address for address in present if address.valid is not None][:MOST]
    leases: dict[tuple[str, str], Lease] = {}
    renewals = dict(known.renewals)
    for found in dynamic:
        key = found.interface, found.address
        before = known.leases.get(key)
        lease = leases[key] = _lease(found, before, now)
        renewals.setdefault(found.interface, 0)
        if before is not None and before.lost is None and _set_anew(found, before, now) and lease.ends > before.ends + JUMP_SECONDS:
            renewals[found.interface] += 1
    for lost in _lost(known, present, dynamic, links, now)[: MOST - len(leases)]:
        leases[lost.interface, lost.address] = lost
    return Leases(leases, {interface: count for interface, count in renewals.items() if interface in links})


def _lost(known: Leases, present: Iterable[Address], dynamic: Iterable[Address], links: Mapping[str, int], now: float) -> list[Lease]:
    """Name the leases whose address is there no more, while its interface still is, and got no other of that family."""
    there = {(address.interface, address.address) for address in present}
    replaced = {(address.interface, address.family == 6) for address in dynamic}  # noqa: PLR2004 — IPv6
    gone = []
    for (interface, address), lease in known.leases.items():
        if (interface, address) in there or (interface, ":" in address) in replaced or links.get(interface) != lease.index:
            continue
        since = now if lease.lost is None else lease.lost
        if now - since < LOST_SECONDS:
            gone.append(replace(lease, lost=since))
    return gone


def _set_anew(found: Address, before: Lease, now: float) -> bool:
    """Tell a client's doing from the drift between the clock we count by, which NTP slews, and the kernel's ticks, which it does not."""
    return found.stamp != before.stamp or abs(now + (found.valid or 0.0) - before.ends) > DRIFT_SECONDS


def _lease(found: Address, before: Lease | None, now: float) -> Lease:
    """Join what is seen with what was known. A client that starts again may set what is left of its lease: the longer length holds."""
    ends = now + (found.valid or 0.0)
    seconds = (found.valid or 0.0) + int(found.age)  # the kernel takes whole seconds off, too
    preferred_ends = now + found.preferred if found.preferred else None
    if before is not None and before.lost is None:
        if abs(ends - before.ends) <= JUMP_SECONDS:
            ends = before.ends
        if not _set_anew(found, before, now):
            seconds, preferred_ends = before.seconds, before.preferred_ends
        elif ends <= before.ends:
            seconds = max(seconds, before.seconds)
    return Lease(found.interface, found.index, found.address, ends, seconds, found.stamp, preferred_ends)


def dump(known: Leases, boot: str) -> dict[str, Any]:
    """Give it as plain JSON values."""
    return {"boot": boot, "leases": [list(astuple(lease)) for lease in known.leases.values()], "renewals": dict(known.renewals)}


def restore(saved: Any, boot: str) -> Leases:  # noqa: ANN401 — whatever lay in the slot
    """Read what `dump` gave in this boot; of another boot, or of another making, nothing is kept."""
    if not isinstance(saved, dict) or saved.get("boot") != boot or not isinstance(saved.get("leases"), list):
        return Leases()
    leases = {(lease.interface, lease.address): lease for row in saved["leases"][:MOST] if (lease := _restored(row)) is not None}
    counted = saved.get("renewals")
    pairs = counted.items() if isinstance(counted, dict) else ()
    return Leases(leases, {str(name): count for name, count in list(pairs)[:MOST] if isinstance(count, int) and count >= 0})


def _restored(row: Any) -> Lease | None:  # noqa: ANN401
    match row:
        case [
            str() as interface,
            int() as index,
            str() as address,
            int() | float() as ends,
            int() | float() as seconds,
            int() as stamp,
            (None | int() | float()) as preferred_ends,
            (None | int() | float()) as lost,
        ]:
            return Lease(interface, index, address, ends, seconds, stamp, preferred_ends, lost)
    return None
