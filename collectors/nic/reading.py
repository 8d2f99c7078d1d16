"""What one look at the network interfaces saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.nic.readers.counters import SILENT, Counters
from collectors.nic.settings import NOTHING, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.netlink.link_details_messages import LinkDetails as DeepLink
    from collectors.nic.boot.kernels import Disk
    from collectors.nic.readers.ethtool import Driver
    from collectors.nic.readers.features import Feature
    from collectors.nic.readers.sysfs import Link, Traffic
    from collectors.nic.readers.tcp_counters import Tcp

Fact = str | int | bool


@dataclass(frozen=True, slots=True)
class Change:
    """One fact: its value, since when (Unix seconds, as first seen by us), and the value before, None where there was none."""

    value: Fact
    since: float
    before: Fact | None = None


@dataclass(frozen=True, slots=True)
class Nic:
    """One interface, joined. `driver` is None where it does not say (a bridge of an old kernel, an interface that just vanished)."""

    link: Link
    driver: Driver | None = None
    features: Mapping[str, Feature] = field(default_factory=dict)
    counters: Counters = SILENT
    changes: Mapping[str, Change] = field(default_factory=dict)
    wanted: Wanted = NOTHING

    @property
    def driver_name(self) -> str:
        """Name the driver as ethtool does, else as sysfs does."""
        return self.driver.name if self.driver else self.link.driver


@dataclass(frozen=True, slots=True)
class Sample:
    """What a rate needs of one full look; `traffic` and `counters` speak of the interfaces with a device behind them."""

    at: float  # seconds, monotonic
    tcp: Tcp | None
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    counters: Mapping[str, Counters] = field(default_factory=dict)
    carrier_changes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look saw. `samples` are the last full looks, oldest first: looks after an event come at odd times and are none.

    `gone` are interfaces with a device behind them that vanished within the last minutes: name → Unix time. `unread` counts the
    interfaces beyond the most that one look takes. `depth` is there for `vitald check` only.
    """

    wall: float  # Unix seconds
    release: str  # of the running kernel
    nics: tuple[Nic, ...] = ()
    samples: tuple[Sample, ...] = ()
    gone: Mapping[str, float] = field(default_factory=dict)
    unread: int = 0
    disk: Disk | None = None
    cmdline: str = ""  # of the running kernel
    depth: Mapping[str, DeepLink] = field(default_factory=dict)
