"""Interfaces in sysfs (Documentation/ABI/testing/sysfs-class-net): readable by anyone, and the same on a recorded host."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.files import read_once
from collectors.nic.readers.counters import STATS_DRIVERS

if TYPE_CHECKING:
    from pathlib import Path

_IFF_UP = 0x1
_MAX_BYTES = 4096  # of a sysfs file: a page


@dataclass(frozen=True, slots=True)
class Device:
    """Device of an interface: its driver, the driver's module, and the loaded module's versions, empty where it states none.

    `physical` is False for an interface without a device. `bus` is the device's name on its bus (`0000:00:05.0`), `mac` the interface's
    address when it was first seen; both are empty for a virtual function of a physical one of this host, which comes and goes.
    """

    physical: bool = False
    driver: str = ""
    module: str = ""
    version: str = ""
    srcversion: str = ""
    bus: str = ""
    mac: str = ""


NO_DEVICE = Device()


@dataclass(frozen=True, slots=True)
class LinkState:
    """One interface. `mtu` is None where it cannot be read, `carrier` where the interface is down or the driver does not report it.

    `queues` and `tx_timeouts` count its TX queues and their timeouts.
    """

    name: str
    index: int
    mtu: int | None
    up: bool
    carrier: bool | None
    carrier_changes: int
    device: Device = NO_DEVICE
    tx_timeouts: int = 0
    queues: int = 0

    @property
    def physical(self) -> bool:
        """True if it has a device."""
        return self.device.physical

    @property
    def driver(self) -> str:
        """The device's driver; empty where there is none."""
        return self.device.driver


@dataclass(frozen=True, slots=True)
class ByteCounters:
    """rx_bytes and tx_bytes since the interface was created."""

    rx_bytes: int
    tx_bytes: int


def interfaces(sys: Path) -> list[str]:
    """List the interfaces. Raises FileNotFoundError where there is no sysfs."""
    directory = os.path.join(sys, "class/net")  # noqa: PTH118 — Path costs more than the reading itself, and this runs often
    return [name for name in os.listdir(directory) if name != "bonding_masters"]  # noqa: PTH208


def read_link(sys: Path, name: str, before: LinkState | None = None) -> LinkState | None:
    """Read one interface; None where it is gone.

    The device, which cannot change while the interface exists, is that of `before` (an index is not reused before 2³¹ others).
    """
    base = f"{sys}/class/net/{name}/"
    flags, index = _text(base + "flags"), _number(base + "ifindex")
    if flags is None or index is None:
        return None
    device = before.device if before is not None and before.index == index else _device(base)
    carrier = _number(base + "carrier")
    # drivers whose statistics are read count timeouts there: no file for each of 32 queues is read
    queues, timeouts = _queues(base + "queues", count_timeouts=device.driver not in STATS_DRIVERS) if device.physical else (0, 0)
    return LinkState(
        name=name,
        index=index,
        mtu=_number(base + "mtu"),
        up=bool(_hexadecimal(flags) & _IFF_UP),
        carrier=None if carrier is None else bool(carrier),
        carrier_changes=_number(base + "carrier_changes") or 0,
        device=device,
        tx_timeouts=timeouts,
        queues=queues,
    )


def _device(base: str) -> Device:
    """Read the device of an interface, a symbolic link."""
    path = base + "device"
    if not os.path.lexists(path):
        return NO_DEVICE
    module = path + "/driver/module"
    version, srcversion = _text(module + "/version") or "", _text(module + "/srcversion") or ""
    driver = _link_target(path + "/driver")
    bus, mac = ("", "") if os.path.lexists(path + "/physfn") else (_link_target(path), _text(base + "address") or "")
    return Device(True, driver, _link_target(module), version, srcversion, bus, mac)  # noqa: FBT003 — `physical`


def read_byte_counters(sys: Path, name: str) -> ByteCounters | None:
    """Read an interface's byte counters; None where it is gone."""
    base = f"{sys}/class/net/{name}/statistics/"
    rx_bytes, tx_bytes = _number(base + "rx_bytes"), _number(base + "tx_bytes")
    return None if rx_bytes is None or tx_bytes is None else ByteCounters(rx_bytes, tx_bytes)


def read_carrier_changes(sys: Path, name: str) -> int | None:
    """Read how often the carrier came or went; None where the interface is gone."""
    return _number(f"{sys}/class/net/{name}/carrier_changes")


def _queues(directory: str, *, count_timeouts: bool) -> tuple[int, int]:
    """Count TX queues and TX timeouts; 0 where the kernel has neither."""
    try:
        queues = [name for name in os.listdir(directory) if name.startswith("tx-")]  # noqa: PTH208
    except OSError:
        return 0, 0
    return len(queues), sum(_number(f"{directory}/{name}/tx_timeout") or 0 for name in queues) if count_timeouts else 0


def _text(path: str) -> str | None:
    try:
        return read_once(path, _MAX_BYTES).decode("ascii", "replace").strip()
    except OSError:  # also `carrier` of an interface that is down: EINVAL
        return None


def _number(path: str) -> int | None:
    text = _text(path)
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _link_target(path: str) -> str:
    """Return the last part of what a symbolic link points to; empty where it is none."""
    try:
        return os.readlink(path).rpartition("/")[2]  # noqa: PTH115
    except OSError:
        return ""
