"""Metrics of the NIC collector. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.model import Family, Kind, Metric
from collectors.nic.checks.next_boot import module_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.reading import Nic, NicReading

MAX_LABEL_VALUES = 256  # an instance has 15 interfaces, pods' veths are ignored by default


def _family(name: str, kind: Kind, help_text: str, *labels: str) -> Family:
    return Family(name, kind, help_text, labels, cap=MAX_LABEL_VALUES)


DRIVER = _family(
    "nic_driver", Kind.INFO, "Driver of an interface, as in `ethtool -i`; always 1.", "interface", "driver", "version", "firmware", "bus"
)
MODULE = _family(
    "nic_module",
    Kind.INFO,
    "Module of a NIC's driver in an installed kernel, always 1; origin is in-tree, dkms or missing.",
    *("driver", "kernel", "version", "srcversion", "origin"),
)
FEATURE = _family("nic_feature_enabled", Kind.GAUGE, "1 if an offload is on, by ethtool's short names.", "interface", "feature")
MTU = _family("nic_mtu_bytes", Kind.GAUGE, "Largest packet the interface sends in bytes.", "interface")
CARRIER = _family("nic_carrier", Kind.GAUGE, "1 if the interface has a carrier.", "interface")
CARRIER_CHANGES = _family("nic_carrier_changes", Kind.COUNTER, "Carrier changes since the interface was created.", "interface")
EXCEEDED = _family(
    "nic_allowance_exceeded",
    Kind.COUNTER,
    "Packets that EC2 queued or dropped beyond an allowance since the driver's last reset.",
    "interface",
    "allowance",
)
AVAILABLE = _family(
    "nic_conntrack_allowance_available", Kind.GAUGE, "Connections that EC2 would still track before it drops new ones.", "interface"
)
RESETS = _family(
    "nic_resets", Kind.COUNTER, "Driver resets and TX timeouts by reason since the driver was loaded or reset.", "interface", "reason"
)
SKIPPED = Family("nic_interfaces_skipped", Kind.GAUGE, "Interfaces beyond the limit of one scan, not read.")


def metrics(reading: NicReading) -> Iterator[Metric]:
    """Return the metrics of a reading."""
    for nic in reading.nics:
        yield from _interface(nic)
    yield from _modules(reading)
    yield Metric(SKIPPED, reading.skipped)


def _interface(nic: Nic) -> Iterator[Metric]:
    link, name = nic.link, nic.link.name
    if nic.driver is not None:
        yield Metric(DRIVER, 1, (name, nic.driver.name, nic.driver.version, nic.driver.firmware, nic.driver.bus))
    if link.mtu is not None:
        yield Metric(MTU, link.mtu, (name,))
    yield Metric(CARRIER, int(bool(link.carrier)), (name,))
    yield Metric(CARRIER_CHANGES, link.carrier_changes, (name,))
    for feature, state in nic.features.items():
        yield Metric(FEATURE, int(state.active), (name, feature))
    for allowance, count in nic.counters.allowances.items():
        yield Metric(EXCEEDED, count, (name, allowance))
    if nic.counters.conntrack_available is not None:
        yield Metric(AVAILABLE, nic.counters.conntrack_available, (name,))
    for reason, count in nic.counters.resets.items():
        yield Metric(RESETS, count, (name, reason))


def _modules(reading: NicReading) -> Iterator[Metric]:
    used = {module_of(nic) for nic in reading.nics if nic.link.physical}
    for kernel in reading.installed.kernels if reading.installed else ():
        for driver, module in kernel.modules.items():
            if driver in used and module.origin:
                yield Metric(MODULE, 1, (driver, kernel.release, module.version, module.srcversion, module.origin))
