"""Reading of the NIC collector: an immutable snapshot of the interfaces, of recent samples and of the installed kernels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, NamedTuple

from msgspec import Meta

from collectors.nic.readers.counters import NO_COUNTERS, DriverCounters
from collectors.nic.settings import NO_REQUIREMENTS, Requirements
from collectors.state import Text, UnixTime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.netlink.link_details_messages import LinkDetails
    from collectors.nic.boot.device_modules import DeviceModule
    from collectors.nic.boot.kernels import InstalledKernels
    from collectors.nic.readers.devices import NetworkDevice
    from collectors.nic.readers.ethtool import Driver
    from collectors.nic.readers.features import Feature
    from collectors.nic.readers.sysfs import LinkState
    from collectors.nic.samples import Sample

Fact = Text | int | bool
Key = Annotated[str, Meta(min_length=1, max_length=4096)]


class Change(NamedTuple):
    """Value of one fact, Unix time at which it was first seen so, and the value before; None where there was none."""

    value: Fact
    since: UnixTime
    before: Fact | None = None


@dataclass(frozen=True, slots=True)
class Nic:
    """One interface. `driver` is None where the driver reports nothing (a bridge of an old kernel, an interface that just vanished)."""

    link: LinkState
    driver: Driver | None = None
    features: Mapping[str, Feature] = field(default_factory=dict)
    counters: DriverCounters = NO_COUNTERS
    changes: Mapping[str, Change] = field(default_factory=dict)
    required: Requirements = NO_REQUIREMENTS

    @property
    def driver_name(self) -> str:
        """The driver's name as ethtool reports it, else as sysfs does."""
        return self.driver.name if self.driver else self.link.driver


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A network device of a bus; without a driver, also the module for it, whether that is loaded, and since when it is seen so.

    `module` is None until it was looked up. `since` is Unix time; None for a device that had no driver at the first look already.
    `ignored`: `[nic] ignore` lists its address or identity.
    """

    device: NetworkDevice
    module: DeviceModule | None = None
    is_loaded: bool = False
    since: float | None = None
    ignored: bool = False


class LostInterface(NamedTuple):
    """An interface with a device that the last boot had, and this one lacks: its name, MAC address, bus address and driver."""

    name: Key
    mac: Text
    bus: Key
    driver: Text


@dataclass(frozen=True, slots=True)
class NicReading:
    """One run's snapshot. `samples` are those of the last full scans, oldest first; refreshes after a link event add none.

    `gone` are interfaces with a device that vanished within the last minutes: name → Unix time. `skipped` counts the interfaces beyond
    the limit of one scan. `link_details` are read in `vitald check` only. `devices` are the network devices of the buses, `lost` the
    interfaces of the last boot that this one lacks, `uptime` the seconds since boot, None where that is unknown.
    """

    wall: float  # Unix seconds
    release: str  # of the running kernel
    nics: tuple[Nic, ...] = ()
    samples: tuple[Sample, ...] = ()
    gone: Mapping[str, float] = field(default_factory=dict)
    skipped: int = 0
    installed: InstalledKernels | None = None
    cmdline: str = ""  # of the running kernel
    link_details: Mapping[str, LinkDetails] = field(default_factory=dict)
    devices: tuple[DeviceState, ...] = ()
    lost: tuple[LostInterface, ...] = ()
    uptime: float | None = None
    is_xen: bool = False
