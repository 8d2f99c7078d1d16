"""Instance of a log fault: the interface, device, unit, server or cgroup that a line is about. Pure.

A fault is opened, escalated and cleared for each instance by itself.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from collectors.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

INSTANCE_FIELDS = ("interface", "device", "pci", "unit", "server", "cgroup")  # named groups of patterns; the first that matched counts
MAX_LENGTH = 128  # characters
# Loop, floppy, optical and RAM devices (Documentation/admin-guide/devices.txt). Probing them logs I/O errors on healthy hosts.
_IGNORED_DEVICE = re.compile(rb"(?:loop|fd|sr|scd|ram|zram)\d{1,5}(?:p\d{1,5})?")
# Partition names: block/partitions/core.c bdevname(); a path of a multipath NVMe disk: drivers/nvme/host/multipath.c.
_PARTITION = re.compile(r"((?:sd|xvd|vd|hd)[a-z]{1,8})\d{1,5}|((?:nvme\d{1,5}(?:c\d{1,5})?n|mmcblk|nbd|md|pmem)\d{1,5})p\d{1,5}")
_NVME_PATH = re.compile(r"(nvme\d{1,5})c\d{1,5}(n\d{1,5})")


def instance_of(fields: Mapping[str, str]) -> str:
    """Return the instance from a match's fields, printable; empty where the line has none."""
    for name in INSTANCE_FIELDS:
        if value := fields.get(name):
            value = printable(value[: 4 * MAX_LENGTH])
            if len(value) <= MAX_LENGTH:
                return value
            return f"…{value[1 - MAX_LENGTH :]}" if name == "cgroup" else value[:MAX_LENGTH]  # the end of a cgroup's path is the container
    return ""


def alias_of(fields: Mapping[str, str]) -> str:
    """Return the bus address of an interface that is the instance; some lines of a driver name only one of the two."""
    return printable(fields.get("pci", "")[:MAX_LENGTH]) if fields.get("interface") else ""


def is_ignored_device(device: bytes) -> bool:
    """Return whether a block device is of a class whose errors do not matter."""
    return _IGNORED_DEVICE.fullmatch(device) is not None


@lru_cache(1024)
def disk_of(instance: str) -> str:
    """Return the disk of a partition (`nvme0n1p1` → `nvme0n1`, `sda1` → `sda`), any other instance as it is. Escalation counts by disk."""
    if partition := _PARTITION.fullmatch(instance):
        instance = partition[1] or partition[2]
    return _NVME_PATH.sub(r"\1\2", instance) if instance.startswith("nvme") else instance
