"""The interfaces as numbers. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.model import Family, Kind, Metric
from collectors.nic.checks.next_boot import module_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.reading import Nic, Reading

MOST = 256  # values of a label: an instance has 15 interfaces, pods' veths are ignored unless asked for


def _family(name: str, kind: Kind, about: str, *labels: str) -> Family:
    return Family(name, kind, about, labels, cap=MOST)


DRIVER = _family(
    "nic_driver", Kind.INFO, "Driver of an interface, as ethtool -i says it.", "interface", "driver", "version", "firmware", "bus"
)
MODULE = _family(
    "nic_module",
    Kind.INFO,
    "Module of a NIC's driver in each installed kernel; origin is in-tree, dkms or missing.",
    *("driver", "kernel", "version", "srcversion", "origin"),
)
FEATURE = _family("nic_feature_enabled", Kind.GAUGE, "1 where an offload is on, by ethtool's short names.", "interface", "feature")
MTU = _family("nic_mtu_bytes", Kind.GAUGE, "Largest packet the interface sends.", "interface")
CARRIER = _family("nic_carrier", Kind.GAUGE, "1 where the interface has a carrier.", "interface")
CARRIER_CHANGES = _family("nic_carrier_changes", Kind.COUNTER, "Times the carrier came or went.", "interface")
EXCEEDED = _family(
    "nic_allowance_exceeded", Kind.COUNTER, "Packets that EC2 queued or dropped beyond an allowance.", "interface", "allowance"
)
AVAILABLE = _family(
    "nic_conntrack_allowance_available",
    Kind.GAUGE,
    "Connections that EC2 would still track before it drops new ones.",
    "interface",
)
RESETS = _family("nic_resets", Kind.COUNTER, "Driver resets and TX timeouts, by reason.", "interface", "reason")
UNREAD = Family("nic_interfaces_skipped", Kind.GAUGE, "Interfaces beyond the most that are looked at.")


def metrics(reading: Reading) -> Iterator[Metric]:
    """Say a reading as numbers."""
    for nic in reading.nics:
        yield from _interface(nic)
    yield from _modules(reading)
    yield Metric(UNREAD, reading.unread)


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
    if nic.counters.available is not None:
        yield Metric(AVAILABLE, nic.counters.available, (name,))
    for reason, count in nic.counters.resets.items():
        yield Metric(RESETS, count, (name, reason))


def _modules(reading: Reading) -> Iterator[Metric]:
    used = {module_of(nic) for nic in reading.nics if nic.link.physical}
    for kernel in reading.disk.kernels if reading.disk else ():
        for driver, module in kernel.modules.items():
            if driver in used and module.origin:
                yield Metric(MODULE, 1, (driver, kernel.release, module.version, module.srcversion, module.origin))
