"""DHCP leases: how long until the kernel takes the address away, and whether the client still renews.

Between two looks at the address table the countdown is arithmetic; the kernel's address events say when to look again.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.collector import Collector
from collectors.dhcp.addresses import concerns, read_addresses
from collectors.dhcp.judge import verdicts
from collectors.dhcp.lease_files import OnFile, read_leasefiles
from collectors.dhcp.leases import Leases, dump, follow, restore
from collectors.dhcp.panels import panel
from collectors.files import read_text
from collectors.interfaces import matches_any
from collectors.model import Family, Kind, Metric, Unavailable
from collectors.netlink.rtnetlink import GROUP_IPV4_IFADDR, GROUP_IPV6_IFADDR, Multicast
from collectors.settings import Duration, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.model import CollectorContext, Verdict
    from collectors.panel import Panel

REMAINING = Family(
    "dhcp_lease_remaining_seconds", Kind.GAUGE, "Time until the kernel removes a leased address.", ("interface", "address"), cap=256
)
LENGTH = Family(
    "dhcp_lease_duration_seconds", Kind.GAUGE, "Length of the whole lease, as it was last set.", ("interface", "address"), cap=256
)
RENEWALS = Family("dhcp_renewals", Kind.COUNTER, "Times a lease's end moved into the future.", ("interface",), cap=256)

LOOK_SECONDS = 30.0  # between two looks at the whole table where no event asks for one


class DhcpSettings(Settings, frozen=True, kw_only=True):
    """`[dhcp]`."""

    interval: Duration = Duration(5.0)
    ignore: tuple[str, ...] = ("lo", "veth*", "docker*", "cni*")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look saw; `now` is CLOCK_MONOTONIC's, by which leases end."""

    now: float
    leases: Leases
    files: Mapping[str, OnFile] = field(default_factory=dict)


class DhcpCollector(Collector[Reading]):
    """`[dhcp]`. The slot remembers leases, so that one lost while vitald was stopped is missed all the same."""

    name = "dhcp"
    Settings = DhcpSettings
    keep = 1

    def __init__(self, settings: DhcpSettings, host: CollectorContext) -> None:
        self._settings, self._host = settings, host
        self._recorded = (host.root / "ethtool").is_dir()
        self._events: Multicast | None = None
        self._known: Leases | None = None
        self._files: Mapping[str, OnFile] = {}
        self._boot = ""
        self._due = 0.0

    def read(self) -> Reading:
        """Count down, and look at the address table where something happened or it is time. Unavailable on a recorded host."""
        if self._recorded:
            raise Unavailable("missing", "a recorded host has no kernel that counts leases down")
        now = time.monotonic()
        if self._known is None:
            self._boot = read_text(f"{self._host.proc}/sys/kernel/random/boot_id", 64).strip()
            self._known = restore(self._host.slot.load(), self._boot)
        if self._changed(self._known):
            self._due = now  # also for the next tick, should this look fail
        if now >= self._due:
            self._look(self._known, now)
            self._due = now + LOOK_SECONDS
        return Reading(now, self._known, self._files)

    @staticmethod
    def judge(readings: Sequence[Reading], _settings: DhcpSettings) -> Iterator[Verdict]:
        """Judge each lease."""
        reading = readings[-1]
        return verdicts(reading.leases.leases, reading.files, reading.now)

    @staticmethod
    def measure(reading: Reading, _settings: DhcpSettings) -> Iterator[Metric]:
        """Say the countdown as numbers; a lost address has 0 seconds left."""
        for (interface, address), lease in reading.leases.leases.items():
            yield Metric(REMAINING, 0.0 if lease.lost is not None else lease.remaining(reading.now), (interface, address))
            yield Metric(LENGTH, lease.seconds, (interface, address))
        for interface, count in reading.leases.renewals.items():
            yield Metric(RENEWALS, count, (interface,))

    @staticmethod
    def show(readings: Sequence[Reading], _settings: DhcpSettings) -> Iterator[Panel]:
        """Show the leases in a table, where there are any."""
        reading = readings[-1]
        if reading.leases.leases:
            yield panel(reading.leases, reading.files, reading.now)

    def wake_fds(self) -> tuple[int, ...]:
        """Name the socket of the address events: a lost address is seen at once."""
        return (self._events.fileno(),) if self._events is not None and self._events.fileno() >= 0 else ()

    def close(self) -> None:
        """Let go of the socket."""
        if self._events is not None:
            self._events.close()

    def request_full_scan(self) -> None:
        """Make the next `read()` a full look."""
        self._due = 0.0

    def _changed(self, known: Leases) -> bool:
        """Say whether the kernel told of a leased address, or of an interface that has one, or lost what it wanted to tell."""
        if self._events is None:
            try:
                self._events = Multicast(GROUP_IPV4_IFADDR | GROUP_IPV6_IFADDR)
            except OSError:
                return True  # without events every tick looks
        taken, indexes = self._events.drain(), known.indexes()
        return taken is None or any(concerns(message, indexes) for _, message in taken)

    def _look(self, known: Leases, now: float) -> None:
        names = {index: name for index, name in socket.if_nameindex() if not matches_any(name, self._settings.ignore)}
        links = {name: index for index, name in names.items()}
        self._known = follow(known, read_addresses(names, now), links, now)
        self._files = read_leasefiles(self._host.root) if self._known.leases else {}
        if self._known != known:
            self._host.slot.save(dump(self._known, self._boot))
