"""Memory that is set aside: huge pages (Documentation/admin-guide/mm/hugetlbpage.rst) and the balloon that MemTotal still contains.

Most balloon drivers subtract a balloon's pages from MemTotal (virtio and Xen always did; adjust_managed_page_count). Three leave MemTotal
alone, so that the balloon resembles a leak: virtio with DEFLATE_ON_OOM (drivers/virtio/virtio_balloon.c), VMware's, and Hyper-V's before
Linux 5.17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import parse_number, text_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VIRTIO_BALLOON = "0x0005"  # include/uapi/linux/virtio_ids.h
DEFLATE_ON_OOM = 2  # include/uapi/linux/virtio_balloon.h: VIRTIO_BALLOON_F_DEFLATE_ON_OOM


def hugepage_bytes(fields: Mapping[str, int], sys: Path) -> int:
    """Return the bytes of huge pages of all sizes, free and used; `fields` are meminfo's.

    `Hugetlb` (kernel 4.17 and later) is exact. Before that, the pool of each size is in /sys; meminfo has the default size only.
    """
    if "Hugetlb" in fields:
        return fields["Hugetlb"]
    pools = [_pool(folder) for folder in sorted(sys.glob("kernel/mm/hugepages/hugepages-*kB"))]
    if pools:
        return sum(pools)
    return fields.get("HugePages_Total", 0) * fields.get("Hugepagesize", 0)


def _pool(folder: Path) -> int:
    size = parse_number(folder.name.removeprefix("hugepages-").removesuffix("kB"))
    pages = parse_number((text_or_none(folder / "nr_hugepages") or "").strip())
    return (size or 0) * 1024 * (pages or 0)


def balloon_stays_in_total(sys: Path) -> bool:
    """Return whether this host's balloon driver leaves MemTotal as it is. Constant while a host runs."""
    if (sys / "module/vmw_balloon").exists():
        return True
    for device in sorted(sys.glob("bus/virtio/devices/virtio*")):
        if (text_or_none(device / "device") or "").strip() == VIRTIO_BALLOON:
            features = (text_or_none(device / "features") or "").strip()
            return features[DEFLATE_ON_OOM : DEFLATE_ON_OOM + 1] == "1"
    return False


def balloon_bytes(counters: Mapping[str, int], page: int) -> int:
    """Return the balloon's bytes from /proc/vmstat: its gauge (Linux 6.16), before that what was inflated less what was deflated."""
    if (gauge := counters.get("nr_balloon_pages")) is None:
        gauge = max(counters.get("balloon_inflate", 0) - counters.get("balloon_deflate", 0), 0)
    return gauge * page
