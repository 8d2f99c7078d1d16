"""Network devices on the PCI, virtio and Xen buses, with and without a driver (Documentation/ABI/testing/sysfs-bus-pci)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.files import read_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_DEVICES = 256
_NETWORK_CLASS = "0x02"  # include/linux/pci_ids.h: PCI_BASE_CLASS_NETWORK
_VIRTIO_NET = "0x0001"  # include/uapi/linux/virtio_ids.h: VIRTIO_ID_NET
_MAX_BYTES = 4096  # of a sysfs file: a page


@dataclass(frozen=True, slots=True)
class NetworkDevice:
    """One device. `address` is its name on the `bus` (`0000:00:05.0` on `pci`, `virtio1` on `virtio`, `vif-0` on `xen`).

    `identity` is the PCI vendor and device (`1d0f:ec20`), empty on other buses. `driver` is empty where none is bound; only then are
    `modalias`, `override` (driver_override) and `is_virtual_function` (of a physical function of this host) read.
    """

    bus: str
    address: str
    identity: str = ""
    driver: str = ""
    modalias: str = ""
    override: str = ""
    is_virtual_function: bool = False


def read_devices(sys: Path) -> tuple[NetworkDevice, ...]:
    """Read all network devices, in the order of bus and address; those of a bus that this host lacks are left out."""
    found = [*_pci(f"{sys}/bus/pci/devices"), *_virtio(f"{sys}/bus/virtio/devices"), *_xen(f"{sys}/bus/xen/devices")]
    return tuple(found[:MAX_DEVICES])


def _pci(folder: str) -> Iterator[NetworkDevice]:
    for address in _names(folder):
        base = f"{folder}/{address}"
        if _text(f"{base}/class").startswith(_NETWORK_CLASS):
            identity = ":".join(_text(f"{base}/{name}").removeprefix("0x") for name in ("vendor", "device"))
            yield _device("pci", base, identity)


def _virtio(folder: str) -> Iterator[NetworkDevice]:
    for address in _names(folder):
        if _text(f"{folder}/{address}/device") == _VIRTIO_NET:
            yield _device("virtio", f"{folder}/{address}")


def _xen(folder: str) -> Iterator[NetworkDevice]:
    for address in _names(folder):
        if address.startswith("vif-"):
            yield _device("xen", f"{folder}/{address}")


def _device(bus: str, base: str, identity: str = "") -> NetworkDevice:
    address = base.rpartition("/")[2]
    try:
        return NetworkDevice(bus, address, identity, os.readlink(f"{base}/driver").rpartition("/")[2])  # noqa: PTH115
    except OSError:
        override = _text(f"{base}/driver_override")
        is_virtual_function = os.path.lexists(f"{base}/physfn")
        modalias = _text(f"{base}/modalias")
        return NetworkDevice(bus, address, identity, "", modalias, "" if override == "(null)" else override, is_virtual_function)


def is_loaded(sys: Path, module: str) -> bool:
    """Return whether a module is in the kernel: loaded, or built in."""
    return os.path.exists(f"{sys}/module/{module.replace('-', '_')}")  # noqa: PTH110 — Path.exists raises without permission


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        return read_once(path, _MAX_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return ""
