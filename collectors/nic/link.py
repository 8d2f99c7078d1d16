"""What sysfs says of an interface (Documentation/ABI/testing/sysfs-class-net): readable by anyone, and the same under a fixture's root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_IFF_UP = 0x1
_LONGEST = 4096  # sysfs gives a page at most


@dataclass(frozen=True, slots=True)
class Link:
    """One interface. `mtu` is None where it cannot be read, `carrier` where the interface is down or the driver cannot say.

    `physical`: a device is behind it.
    """

    name: str
    index: int
    mtu: int | None
    up: bool
    carrier: bool | None
    carrier_changes: int
    physical: bool
    driver: str = ""
    module: str = ""
    tx_timeouts: int = 0
    queues: int = 0
    module_version: str = ""  # of the loaded module, where it states one
    srcversion: str = ""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes since the interface was made, both ways."""

    received: int
    sent: int


def interfaces(sys: Path) -> list[str]:
    """List the host's interfaces; FileNotFoundError where there is no sysfs."""
    here = os.path.join(sys, "class/net")  # noqa: PTH118 — Path costs more than the reading itself, and this runs for every interface
    return [name for name in os.listdir(here) if name != "bonding_masters"]  # noqa: PTH208


def read_link(sys: Path, name: str) -> Link | None:
    """Read one interface; None where it vanished while we looked."""
    base = f"{sys}/class/net/{name}/"
    flags, index = _text(base + "flags"), _number(base + "ifindex")
    if flags is None or index is None:
        return None
    driver = _target(base + "device/driver")
    physical = bool(driver) or os.path.lexists(base + "device")
    queues, timeouts = _queues(base + "queues") if physical else (0, 0)
    carrier = _number(base + "carrier")
    return Link(
        name=name,
        index=index,
        mtu=_number(base + "mtu"),
        up=bool(_hexadecimal(flags) & _IFF_UP),
        carrier=None if carrier is None else bool(carrier),
        carrier_changes=_number(base + "carrier_changes") or 0,
        physical=physical,
        driver=driver,
        module=_target(base + "device/driver/module") if driver else "",
        tx_timeouts=timeouts,
        queues=queues,
        module_version=(_text(base + "device/driver/module/version") or "") if driver else "",
        srcversion=(_text(base + "device/driver/module/srcversion") or "") if driver else "",
    )


def read_traffic(sys: Path, name: str) -> Traffic | None:
    """Read an interface's byte counters; None where it vanished."""
    base = f"{sys}/class/net/{name}/statistics/"
    received, sent = _number(base + "rx_bytes"), _number(base + "tx_bytes")
    return None if received is None or sent is None else Traffic(received, sent)


def read_carrier_changes(sys: Path, name: str) -> int | None:
    """Read how often the carrier came or went; None where the interface vanished."""
    return _number(f"{sys}/class/net/{name}/carrier_changes")


def _queues(folder: str) -> tuple[int, int]:
    """Count transmit queues and what their watchdogs have barked; 0 where the kernel keeps neither."""
    try:
        queues = [name for name in os.listdir(folder) if name.startswith("tx-")]  # noqa: PTH208
    except OSError:
        return 0, 0
    return len(queues), sum(_number(f"{folder}/{name}/tx_timeout") or 0 for name in queues)


def _text(path: str) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.read(descriptor, _LONGEST).decode("ascii", "replace").strip()
    except OSError:  # `carrier` of an interface that is down: EINVAL
        return None
    finally:
        os.close(descriptor)


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
