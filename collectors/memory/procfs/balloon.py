"""Reads how much of MemTotal a balloon driver has given back to the hypervisor.

Most drivers take a balloon's pages out of MemTotal (virtio and Xen always did; adjust_managed_page_count), and nothing is missing then.
Three leave MemTotal alone, so that the balloon looks like a leak: virtio with DEFLATE_ON_OOM (drivers/virtio/virtio_balloon.c), VMware's,
and Hyper-V's before Linux 5.17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import text_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VIRTIO_BALLOON = "0x0005"  # include/uapi/linux/virtio_ids.h
DEFLATE_ON_OOM = 2  # include/uapi/linux/virtio_balloon.h: VIRTIO_BALLOON_F_DEFLATE_ON_OOM


def stays_in_total(sys: Path) -> bool:
    """Say whether this host's balloon driver leaves MemTotal as it is. It does not change while a host runs, so ask once."""
    if (sys / "module/vmw_balloon").exists():
        return True
    for device in sorted(sys.glob("bus/virtio/devices/virtio*")):
        if (text_or_none(device / "device") or "").strip() == VIRTIO_BALLOON:
            features = (text_or_none(device / "features") or "").strip()
            return features[DEFLATE_ON_OOM : DEFLATE_ON_OOM + 1] == "1"
    return False


def inside(counters: Mapping[str, int], page: int) -> int:
    """Give the balloon's bytes from /proc/vmstat: its own gauge (Linux 6.16), before that what went in less what came out."""
    gauge = counters.get("nr_balloon_pages")
    if gauge is None:
        gauge = max(counters.get("balloon_inflate", 0) - counters.get("balloon_deflate", 0), 0)
    return gauge * page
