"""DHCP lease collector: time until the kernel removes a leased address, and renewals by the client.

Between two scans of the address table the countdown is arithmetic; an address event of the kernel triggers a scan.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.collector import Collector
from collectors.dhcp.addresses import is_relevant, read_addresses
from collectors.dhcp.judge import finding, judge_leases
from collectors.dhcp.lease_files import LeaseRecord, read_lease_files
from collectors.dhcp.leases import Leases, SavedLeases, dump, restore, update_leases
from collectors.disk import DiskHangs, DiskTask
from collectors.files import read_boot_id
from collectors.interfaces import DEFAULT_IGNORE, matches_any
from collectors.model import Family, Kind, Metric, Unavailable
from collectors.netlink.rtnetlink import GROUP_IPV4_IFADDR, GROUP_IPV6_IFADDR, Multicast
from collectors.panel import Panel
from collectors.settings import Duration, Settings
from collectors.text import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.dhcp.leases import Lease
    from collectors.model import CollectorContext, Verdict

REMAINING = Family(
    "dhcp_lease_remaining_seconds",
    Kind.GAUGE,
    "Seconds until the kernel removes a leased address, 0 if it is lost.",
    ("interface", "address"),
    cap=256,
)
LENGTH = Family(
    "dhcp_lease_duration_seconds", Kind.GAUGE, "Duration of the whole lease in seconds, as last set.", ("interface", "address"), cap=256
)
RENEWALS = Family("dhcp_renewals", Kind.COUNTER, "Lease renewals: times the end of a lease moved into the future.", ("interface",), cap=256)

FULL_SCAN_SECONDS = 30.0  # between two scans of the address table without an event
LEASE_FILES_SECONDS = 1.0  # that a scan waits for the clients' lease files
COLUMNS = ("address", "interface", "state", "expires in", "left", "renewals", "client")


class DhcpSettings(Settings, frozen=True, kw_only=True):
    """`[dhcp]`."""

    interval: Duration = Duration(5.0)
    ignore: tuple[str, ...] = DEFAULT_IGNORE


@dataclass(frozen=True, slots=True)
class DhcpReading:
    """The leases at `now`, of CLOCK_MONOTONIC, and the clients' lease files by address."""

    now: float
    leases: Leases
    files: Mapping[str, LeaseRecord] = field(default_factory=dict)


class DhcpCollector(Collector[DhcpReading]):
    """`[dhcp]`. The slot has the leases, so that one lost while vitald was stopped is reported, too."""

    name = "dhcp"
    checks = ("dhcp_lease",)
    needs_history = {"dhcp_lease": "addresses that were lost"}  # noqa: RUF012 — never modified
    Settings = DhcpSettings

    def __init__(self, settings: DhcpSettings, context: CollectorContext) -> None:
        self._settings, self._context = settings, context
        self._events: Multicast | None = None
        self._known: Leases | None = None
        self._files: Mapping[str, LeaseRecord] = {}
        self._lease_files: DiskTask[dict[str, LeaseRecord]] = DiskTask(str(context.root / "var/lib/dhcp"))
        self._boot = ""
        self._due = 0.0

    def read(self) -> DhcpReading:
        """Count down; scan the address table after an event or when it is due. Unavailable on a recorded host."""
        if self._context.is_recorded:
            raise Unavailable("missing", "a recorded host has no kernel with a countdown of leases")
        now = time.monotonic()
        if self._known is None:
            self._boot = read_boot_id(self._context.proc)
            self._known, rejected = restore(self._context.slot.load(SavedLeases), self._boot, now)
            if rejected:
                self._context.slot.reject(rejected, "an address lost in the future")
        if self._changed(self._known):
            self._due = now  # also for the next tick, should this scan fail
        if now >= self._due:
            self._scan(self._known, now)
            self._due = now + FULL_SCAN_SECONDS
        return DhcpReading(now, self._known, self._files)

    @staticmethod
    def judge(readings: Sequence[DhcpReading], _settings: DhcpSettings) -> Iterator[Verdict]:
        """Judge each lease."""
        reading = readings[-1]
        return judge_leases(reading.leases.leases, reading.files, reading.now)

    @staticmethod
    def measure(reading: DhcpReading, _settings: DhcpSettings) -> Iterator[Metric]:
        """Return the countdown; a lost address has 0 seconds left."""
        for (interface, address), lease in reading.leases.leases.items():
            yield Metric(REMAINING, 0.0 if lease.lost is not None else lease.remaining(reading.now), (interface, address))
            yield Metric(LENGTH, lease.seconds, (interface, address))
        for interface, count in reading.leases.renewals.items():
            yield Metric(RENEWALS, count, (interface,))

    @staticmethod
    def show(readings: Sequence[DhcpReading], _settings: DhcpSettings) -> Iterator[Panel]:
        """Return a table of the leases, where there are any."""
        reading = readings[-1]
        if reading.leases.leases:
            yield leases_panel(reading)

    def wake_fds(self) -> tuple[int, ...]:
        """Return the socket of the address events: a lost address is reported at once."""
        return (self._events.fileno(),) if self._events is not None and self._events.fileno() >= 0 else ()

    def close(self) -> None:
        """Close the socket."""
        if self._events is not None:
            self._events.close()

    def request_full_scan(self) -> None:
        """Make the next `read()` scan the address table."""
        self._due = 0.0

    def _changed(self, known: Leases) -> bool:
        """Return whether an event concerned a leased address or an interface that has one, or events were lost."""
        if self._events is None:
            try:
                self._events = Multicast(GROUP_IPV4_IFADDR | GROUP_IPV6_IFADDR)
            except OSError:
                return True  # without events every tick scans
        events, indexes = self._events.drain(), known.indexes()
        return events is None or any(is_relevant(message, indexes) for _, message in events)

    def _read_files(self) -> dict[str, LeaseRecord]:
        return read_lease_files(self._context.root)

    def _scan(self, known: Leases, now: float) -> None:
        names = {index: name for index, name in socket.if_nameindex() if not matches_any(name, self._settings.ignore)}
        links = {name: index for index, name in names.items()}
        self._known = update_leases(known, read_addresses(names, now), links, now)
        with contextlib.suppress(DiskHangs):  # evidence only: that read before is used
            self._files = self._lease_files.run(self._read_files, LEASE_FILES_SECONDS) if self._known.leases else {}
        if self._known != known:
            self._context.slot.save(dump(self._known, self._boot))


def leases_panel(reading: DhcpReading) -> Panel:
    """Return a table of the leases: the worst first, then the one that expires first. Pure."""
    leases, now = reading.leases, reading.now
    order = sorted(leases.leases.values(), key=lambda lease: (-finding(lease, now)[0], lease.remaining(now), lease.address))
    rows = (_row(lease, leases.renewals.get(lease.interface, 0), reading.files.get(lease.address), now) for lease in order)
    return Panel("DHCP leases", COLUMNS, tuple(rows))


def _row(lease: Lease, renewals: int, record: LeaseRecord | None, now: float) -> tuple[str, ...]:
    level, message = finding(lease, now)
    is_lost, left = lease.lost is not None, lease.remaining(now)
    state = "lost" if is_lost else message.partition(";")[0] if level else "ok"
    share = f"{left / lease.seconds:.0%} of {span(lease.seconds)}" if lease.seconds > 0 and not is_lost else ""
    client = record.client if record else ""
    return lease.address, lease.interface, state, "" if is_lost else span(left), share, str(renewals), client
