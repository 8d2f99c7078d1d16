"""What sysfs says of an interface (Documentation/ABI/testing/sysfs-class-net): readable by anyone, and the same under a fixture's root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.files import read_once

if TYPE_CHECKING:
    from pathlib import Path

_IFF_UP = 0x1
_LONGEST = 4096  # sysfs gives a page at most
COUNTS_TIMEOUTS = frozenset({"ena", "ixgbevf"})  # in their own statistics; a file for each of 32 queues need not be read


@dataclass(frozen=True, slots=True)
class Device:
    """What is behind an interface: its driver, the driver's module, and what the loaded module says of its version, where it does."""

    physical: bool = False
    driver: str = ""
    module: str = ""
    version: str = ""
    srcversion: str = ""


VIRTUAL = Device()


@dataclass(frozen=True, slots=True)
class Link:
    """One interface. `mtu` is None where it cannot be read, `carrier` where the interface is down or the driver cannot say."""

    name: str
    index: int
    mtu: int | None
    up: bool
    carrier: bool | None
    carrier_changes: int
    device: Device = VIRTUAL
    tx_timeouts: int = 0
    queues: int = 0

    @property
    def physical(self) -> bool:
        """Say whether a device is behind it."""
        return self.device.physical

    @property
    def driver(self) -> str:
        """Name the device's driver; empty where there is none."""
        return self.device.driver


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes since the interface was made, both ways."""

    received: int
    sent: int


def interfaces(sys: Path) -> list[str]:
    """List the host's interfaces; FileNotFoundError where there is no sysfs."""
    here = os.path.join(sys, "class/net")  # noqa: PTH118 — Path costs more than the reading itself, and this runs for every interface
    return [name for name in os.listdir(here) if name != "bonding_masters"]  # noqa: PTH208


def read_link(sys: Path, name: str, before: Link | None = None) -> Link | None:
    """Read one interface; None where it vanished while we looked.

    What cannot change while the interface lives (its index is never given again before 2³¹ others) is taken over from `before`.
    """
    base = f"{sys}/class/net/{name}/"
    flags, index = _text(base + "flags"), _number(base + "ifindex")
    if flags is None or index is None:
        return None
    device = before.device if before is not None and before.index == index else _device(base + "device")
    carrier = _number(base + "carrier")
    queues, timeouts = _queues(base + "queues", timeouts=device.driver not in COUNTS_TIMEOUTS) if device.physical else (0, 0)
    return Link(
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


def _device(path: str) -> Device:
    """Follow the link from an interface to what is behind it."""
    if not os.path.lexists(path):
        return VIRTUAL
    module = path + "/driver/module"
    version, srcversion = _text(module + "/version") or "", _text(module + "/srcversion") or ""
    driver = _target(path + "/driver")
    return Device(physical=True, driver=driver, module=_target(module), version=version, srcversion=srcversion)


def read_traffic(sys: Path, name: str) -> Traffic | None:
    """Read an interface's byte counters; None where it vanished."""
    base = f"{sys}/class/net/{name}/statistics/"
    received, sent = _number(base + "rx_bytes"), _number(base + "tx_bytes")
    return None if received is None or sent is None else Traffic(received, sent)


def read_carrier_changes(sys: Path, name: str) -> int | None:
    """Read how often the carrier came or went; None where the interface vanished."""
    return _number(f"{sys}/class/net/{name}/carrier_changes")


def _queues(folder: str, *, timeouts: bool) -> tuple[int, int]:
    """Count transmit queues and what their watchdogs have barked; 0 where the kernel keeps neither."""
    try:
        queues = [name for name in os.listdir(folder) if name.startswith("tx-")]  # noqa: PTH208
    except OSError:
        return 0, 0
    return len(queues), sum(_number(f"{folder}/{name}/tx_timeout") or 0 for name in queues) if timeouts else 0


def _text(path: str) -> str | None:
    try:
        return read_once(path, _LONGEST).decode("ascii", "replace").strip()
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


def _target(path: str) -> str:
    """Name what a symbolic link points to: the last part, or nothing."""
    try:
        return os.readlink(path).rpartition("/")[2]  # noqa: PTH115
    except OSError:
        return ""
