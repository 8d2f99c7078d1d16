"""Lease tracking from one scan to the next: renewals and losses. Pure; the collector saves it in its slot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from collectors.state import Count, Seconds, State, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.dhcp.addresses import Address

MAX_LEASES = 256
LOST_SECONDS = 86_400.0  # how long a lost lease is reported: after a day its removal was intended
JUMP_SECONDS = 2.0  # the kernel reports lifetimes in whole seconds: an end that differs by less is the same end
DRIFT_SECONDS = 10.0  # an end that differs by more was set again, also within one tick of the kernel


class Lease(msgspec.Struct, frozen=True, array_like=True):
    """A dynamic address. Times are CLOCK_MONOTONIC's seconds, by which the kernel counts lifetimes; valid for one boot."""

    interface: Text
    index: Count
    address: Text
    ends: Seconds
    seconds: Seconds  # duration of the whole lease
    tstamp: Count = 0  # the kernel's time stamp of when it was set
    preferred_ends: Seconds | None = None  # None: never, or it was set as deprecated
    lost: Seconds | None = None  # when it was removed without another of its family on its interface

    def remaining(self, now: float) -> float:
        """Return the seconds left."""
        return max(0.0, self.ends - now)


@dataclass(frozen=True, slots=True)
class Leases:
    """All leases, present and lost, and each interface's renewals since its first lease."""

    leases: Mapping[tuple[str, str], Lease] = field(default_factory=dict)
    renewals: Mapping[str, int] = field(default_factory=dict)

    def indexes(self) -> frozenset[int]:
        """Return the indexes of the interfaces that have or had a lease."""
        return frozenset(lease.index for lease in self.leases.values())


class SavedLeases(State, frozen=True):
    """State of the collector; `boot` is the boot that the times are of."""

    boot: Text = ""
    leases: tuple[Lease, ...] = ()
    renewals: dict[Text, Count] = msgspec.field(default_factory=dict)


def update_leases(known: Leases, addresses: Iterable[Address], links: Mapping[str, int], now: float) -> Leases:
    """Return the leases after a scan. `links` are the present interfaces by name, with their indexes."""
    present = list(addresses)
    dynamic = [address for address in present if address.valid is not None][:MAX_LEASES]
    leases: dict[tuple[str, str], Lease] = {}
    renewals = dict(known.renewals)
    for found in dynamic:
        key = found.interface, found.address
        before = known.leases.get(key)
        lease = leases[key] = _lease(found, before, now)
        renewals.setdefault(found.interface, 0)
        if before is not None and before.lost is None and _was_set_again(found, before, now) and lease.ends > before.ends + JUMP_SECONDS:
            renewals[found.interface] += 1
    for lost in _lost(known, present, dynamic, links, now)[: MAX_LEASES - len(leases)]:
        leases[lost.interface, lost.address] = lost
    return Leases(leases, {interface: count for interface, count in renewals.items() if interface in links})


def _lost(known: Leases, present: Iterable[Address], dynamic: Iterable[Address], links: Mapping[str, int], now: float) -> list[Lease]:
    """Return the leases whose address is gone, while its interface is present and has no other dynamic address of that family."""
    kept = {(address.interface, address.address) for address in present}
    replaced = {(address.interface, ":" in address.address) for address in dynamic}
    gone = []
    for (interface, address), lease in known.leases.items():
        if (interface, address) in kept or (interface, ":" in address) in replaced or links.get(interface) != lease.index:
            continue
        since = now if lease.lost is None else lease.lost
        if now - since < LOST_SECONDS:
            gone.append(msgspec.structs.replace(lease, lost=since))
    return gone


def _was_set_again(found: Address, before: Lease, now: float) -> bool:
    """Return whether a client set it; otherwise its end only drifts: NTP slews CLOCK_MONOTONIC, but not the kernel's ticks."""
    return found.tstamp != before.tstamp or abs(now + (found.valid or 0.0) - before.ends) > DRIFT_SECONDS


def _lease(found: Address, before: Lease | None, now: float) -> Lease:
    """Merge an address with its lease before. A client that restarts may set the rest of its lease: the longer duration is kept."""
    ends = now + (found.valid or 0.0)
    seconds = (found.valid or 0.0) + int(found.age)  # the kernel subtracts whole seconds, too
    preferred_ends = now + found.preferred if found.preferred else None
    if before is not None and before.lost is None:
        if abs(ends - before.ends) <= JUMP_SECONDS:
            ends = before.ends
        if not _was_set_again(found, before, now):
            seconds, preferred_ends = before.seconds, before.preferred_ends
        elif ends <= before.ends:
            seconds = max(seconds, before.seconds)
    return Lease(found.interface, found.index, found.address, ends, seconds, found.tstamp, preferred_ends)


def dump(known: Leases, boot: str) -> SavedLeases:
    """Return what is saved."""
    return SavedLeases(boot=boot, leases=tuple(known.leases.values()), renewals=dict(known.renewals))


def restore(saved: SavedLeases, boot: str, now: float) -> tuple[Leases, int]:
    """Return the leases saved in this boot, none of another, and how many were dropped since they were lost in the future."""
    if saved.boot != boot:
        return Leases(), 0
    kept = {(lease.interface, lease.address): lease for lease in saved.leases[:MAX_LEASES] if lease.lost is None or lease.lost <= now}
    renewals = dict(list(saved.renewals.items())[:MAX_LEASES])
    return Leases(kept, renewals), sum(lease.lost is not None and lease.lost > now for lease in saved.leases)
