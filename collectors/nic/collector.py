"""NIC collector: interfaces, their drivers now and after the next boot, offloads, MTU, link, EC2 allowances and throughput.

The kernel's link events wake it. Most runs are light: they read the queued events, compare the carrier counts, and return the same reading
where nothing changed. A full scan comes every `full_scan_interval`; an event refreshes the interfaces it is about at once.
"""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING, ClassVar

from collectors.collector import Collector
from collectors.disk import DiskHangs, DiskTask
from collectors.files import read_boot_id, read_text
from collectors.host import read_platform
from collectors.model import Mode
from collectors.nic.boot.kernel_watcher import KernelWatcher
from collectors.nic.device_tracker import DeviceTracker
from collectors.nic.inventory import BootIdentity, Inventory
from collectors.nic.judge import verdicts
from collectors.nic.metrics import metrics
from collectors.nic.panels import panels
from collectors.nic.readers.interface_reader import InterfaceReader, LinkDetailsReader
from collectors.nic.readers.link_events import NO_CHANGES, LinkEvents
from collectors.nic.reading import NicReading
from collectors.nic.samples import appended
from collectors.nic.settings import NicSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from collectors.model import CollectorContext, Metric, Verdict
    from collectors.nic.readers.link_events import LinkChanges
    from collectors.nic.samples import Sample
    from collectors.panel import Panel
    from collectors.settings import Settings

MAX_CARRIERS = 64  # counts read in each run: the kernel sends the event of a lost carrier up to 1 s late (net/core/link_watch.c)
KERNELS_SECONDS = 30.0  # between two checks of /lib/modules and /boot for changes
FIRST_KERNELS_SECONDS, CHECK_KERNELS_SECONDS = 2.0, 30.0  # how long the first run waits for them; unpacking an initramfs takes seconds
MACHINE_ID_SECONDS = 1.0  # that a start waits for /etc/machine-id
BASELINE_SECONDS = 0.9  # between the first two full scans: `vitald check` makes two runs, a second apart


class NicCollector(Collector[NicReading]):
    """Collector of every interface that is not ignored. Its state file holds since when each fact is as it is."""

    name = "nic"
    checks = (
        "nic_driver",
        "nic_driver_next_boot",
        "nic_device",
        "nic_offload",
        "nic_mtu",
        "nic_link",
        "nic_allowance",
        "nic_stall",
    )
    needs_history = {"nic_link": "flaps, interfaces that vanished", "nic_driver": "changes"}  # noqa: RUF012 — never modified
    Settings: ClassVar[type[Settings]] = NicSettings
    passes = 2  # allowances are rates
    keep = 1  # the samples are part of the reading: runs come at irregular times

    def __init__(self, settings: NicSettings, context: CollectorContext) -> None:
        self._settings, self._context = settings, context
        self._reader = InterfaceReader(context, settings.policy)
        self._inventory = Inventory(self._reader, settings.ignore, context.slot, _boot_identity(context))
        self._devices = DeviceTracker(context.sys, settings.ignore)
        self._is_recorded = context.is_recorded
        self._link_details = LinkDetailsReader(enabled=context.mode is Mode.CHECK and not self._is_recorded)
        own_release, machine = ("", "") if self._is_recorded else (os.uname().release, os.uname().machine)
        self._release = read_text(context.proc / "sys/kernel/osrelease", 256).strip() or own_release
        self._cmdline = read_text(context.proc / "cmdline", 4096)
        self._kernel_watcher = KernelWatcher(context.root, machine, KERNELS_SECONDS, self._release, self._cmdline)
        self._is_xen = read_text(context.sys / "hypervisor/type", 64).strip() == "xen"
        self._events: LinkEvents | None = None
        self._samples: tuple[Sample, ...] = ()
        self._last: NicReading | None = None
        self._due = 0.0

    def read(self) -> NicReading:
        """Read what changed, everything where a full scan is due. Raises Unavailable where the interfaces cannot be listed."""
        now, wall = time.monotonic(), time.time()
        changes = self._link_changes()
        inventory, last = self._inventory, self._last
        if last is None or now >= self._due or changes.incomplete:
            self._full_scan(now, wall)
        else:
            names = changes.names | self._changed_carriers()
            if not names and self._kernel_watcher.latest(inventory.modules(), 0.0, self._devices.modaliases()) is last.installed:
                return last
            inventory.refresh(names, wall)
        timeout = CHECK_KERNELS_SECONDS if self._context.mode is Mode.CHECK else FIRST_KERNELS_SECONDS
        installed = self._kernel_watcher.latest(inventory.modules(), timeout if last is None else 0.0, self._devices.modaliases())
        self._last = NicReading(
            wall,
            self._release,
            tuple(inventory.nics[name] for name in sorted(inventory.nics)),
            self._samples,
            inventory.gone,
            inventory.skipped,
            installed,
            self._cmdline,
            self._link_details.read(inventory.nics),
            self._devices.states(self._kernel_watcher.device_modules()),
            inventory.lost(),
            _uptime(self._context.proc),
            self._is_xen,
        )
        return self._last

    @staticmethod
    def judge(readings: Sequence[NicReading], _settings: NicSettings) -> Iterator[Verdict]:
        """Judge every interface."""
        return verdicts(readings[-1])

    @staticmethod
    def measure(reading: NicReading, _settings: NicSettings) -> Iterator[Metric]:
        """Return the interfaces' metrics."""
        return metrics(reading)

    @staticmethod
    def show(readings: Sequence[NicReading], _settings: NicSettings) -> Iterator[Panel]:
        """Return panels of the interfaces, and of the installed kernels."""
        yield from panels(readings[-1])

    def wake_fds(self) -> tuple[int, ...]:
        """Return the socket of the link events: a flap is seen at once."""
        return (self._events.fileno(),) if self._events is not None and self._events.fileno() >= 0 else ()

    def close(self) -> None:
        """Save the change history, close sockets and stop the thread."""
        self._inventory.save()
        self._kernel_watcher.close()
        self._reader.close()
        if self._events is not None:
            self._events.close()

    def request_full_scan(self) -> None:
        """Make the next `read()` a full scan."""
        self._due = 0.0

    def _full_scan(self, now: float, wall: float) -> None:
        interval = self._settings.full_scan_interval
        self._inventory.scan(wall)
        self._devices.scan(wall)
        last = self._samples[-1] if self._samples else None
        min_seconds = 0.9 * interval if len(self._samples) > 1 else BASELINE_SECONDS
        if last is None or now - last.at >= min_seconds:
            self._samples = appended(self._samples, self._inventory.sample(now, self._context.proc, last))
        until_next = max(interval - self._settings.interval / 2, interval / 2)  # at the run that comes closest
        self._due = now + (until_next if len(self._samples) > 1 else BASELINE_SECONDS)

    def _link_changes(self) -> LinkChanges:
        """Read the queued link events; none where that socket cannot be opened, and full scans alone must do."""
        if self._is_recorded:
            return NO_CHANGES
        if self._events is None:
            try:
                self._events = LinkEvents()
            except OSError:
                return NO_CHANGES
        return self._events.read()

    def _changed_carriers(self) -> frozenset[str]:
        """Return the interfaces whose carrier count changed."""
        links = (nic.link for nic in itertools.islice(self._inventory.nics.values(), MAX_CARRIERS))
        return frozenset(link.name for link in links if self._reader.carrier_changes(link.name) != link.carrier_changes)


def _boot_identity(context: CollectorContext) -> BootIdentity:
    """Return the boot id, and the machine by its machine-id and, on Nitro, its instance id: an image's copies differ in one of them."""
    path = context.root / "etc/machine-id"
    task: DiskTask[str] = DiskTask(str(path))
    try:
        machine = task.run(lambda: read_text(path, 64).strip(), MACHINE_ID_SECONDS)
    except DiskHangs:
        return BootIdentity()  # nothing is compared
    return BootIdentity(read_boot_id(context.proc), f"{machine} {read_platform(context.sys).instance_id}".strip())


def _uptime(proc: Path) -> float | None:
    """Return the seconds since boot (proc_uptime(5)); None where that cannot be read."""
    try:
        return float(read_text(proc / "uptime", 64).split()[0])
    except (IndexError, ValueError):
        return None
