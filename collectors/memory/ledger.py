"""Ledger: a host's memory by area; the areas add up to MemTotal, and what no counter contains is `unaccounted`. Pure.

The formula, its sources and its pitfalls are in docs/memory.md. A missing field is not estimated: its area is not in the ledger, and its
pages, if there are any, are in `unaccounted`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.memory.procfs.swap import mapped_swap_cache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.memory.procfs.net import SocketMemory
    from collectors.memory.procfs.zfs import Arc

FREE = ("free", "free_lists")  # the second: pages in each CPU's own lists, which are not in MemFree
USER = ("anonymous", "page_cache", "shared_memory", "swap_cache", "compressed_swap")  # owned by a process or a file
SET_ASIDE = ("hugepages", "balloon", "corrupted")  # by configuration
RECLAIMABLE = ("slab_reclaimable", "misc_reclaimable", "zfs_cache", "gpu_reclaimable")  # freed under memory pressure
UNRECLAIMABLE = (  # the kernel cannot free it: where leaks are
    "slab_unreclaimable",
    "page_tables",
    "secondary_page_tables",
    "kernel_stack",
    "vmalloc",
    "percpu",
    "bounce",
    "writeback",
    "gpu",
    "unaccounted",
)
OF_WHICH = ("tcp_buffers", "udp_buffers", "ip_fragments", "zfs_arc", "locked")  # these overlap the areas instead of adding to them


@dataclass(frozen=True, slots=True)
class Ledger:
    """All sizes are bytes. The areas and `excess` add up to `total` exactly.

    `excess` is 0 or below: MemTotal less the sum of the counters, which are not read in one instant, and of which each CPU has a small
    part not yet added. `available` is MemAvailable and what the ZFS cache would free.
    """

    total: int
    available: int
    areas: Mapping[str, int]
    of_which: Mapping[str, int]
    excess: int = 0

    @property
    def unreclaimable(self) -> int:
        """Bytes that the kernel cannot free: the sum of the areas plus `excess`, so that it has no kink where `unaccounted` is 0."""
        return sum(self.areas.get(area, 0) for area in UNRECLAIMABLE) + self.excess

    @property
    def consistent(self) -> bool:
        """True if the counters can all be of one host: lxcfs, for one, mixes a cgroup's with the host's."""
        return -self.excess <= self.total // 50 + (64 << 20)


@dataclass(frozen=True, slots=True)
class ExtraCounters:
    """Counters of other files than meminfo, in bytes. `hugepages` and `balloon` are inside MemTotal; None: this kernel has no such counter.

    `cpu_lists` are the free pages in each CPU's own lists, `isolated` the pages that reclaim or migration has taken off the LRU lists.
    `compressed_swap` is what zswap and zram hold.
    """

    sockets: SocketMemory
    hugepages: int = 0
    balloon: int = 0
    cpu_lists: int | None = None
    isolated: int = 0
    compressed_swap: int | None = None
    arc: Arc | None = None


def ledger(fields: Mapping[str, int], extra: ExtraCounters) -> Ledger:
    """Compute the ledger; `fields` are meminfo's, in bytes."""
    arc = extra.arc
    areas = {name: value for name, value in _areas(fields, extra).items() if value is not None}
    rest = fields["MemTotal"] - sum(areas.values())
    if mapped := mapped_swap_cache(fields, extra.isolated, rest):
        areas["swap_cache"] -= mapped
        rest += mapped
    if arc is not None:
        areas["zfs_cache"] = min(arc.pages, max(rest, 0))
        rest -= areas["zfs_cache"]
    areas["unaccounted"] = max(rest, 0)
    if (available := fields.get("MemAvailable")) is None:  # before Linux 3.14
        available = sum(areas.get(area, 0) for area in ("free", "page_cache", "slab_reclaimable"))
    if arc is not None:
        available += min(arc.shrinkable, areas["zfs_cache"])
    return Ledger(fields["MemTotal"], min(available, fields["MemTotal"]), areas, _of_which(fields, arc, extra.sockets), min(rest, 0))


def _areas(fields: Mapping[str, int], extra: ExtraCounters) -> dict[str, int | None]:
    get = fields.get
    shmem, stack, vmalloc = get("Shmem"), get("KernelStack"), get("VmallocUsed")
    return {
        "free": get("MemFree"),
        "free_lists": extra.cpu_lists,
        "anonymous": get("AnonPages"),
        "page_cache": _sum(_less(get("Cached"), shmem or 0), get("Buffers")),
        "shared_memory": shmem,
        "swap_cache": get("SwapCached"),
        "compressed_swap": extra.compressed_swap,
        "hugepages": extra.hugepages or None,
        "balloon": extra.balloon or None,
        "corrupted": get("HardwareCorrupted"),
        "slab_reclaimable": get("SReclaimable"),
        "misc_reclaimable": _less(get("KReclaimable"), get("SReclaimable") or 0),
        "gpu_reclaimable": get("GPUReclaim"),
        "slab_unreclaimable": get("SUnreclaim"),
        "page_tables": get("PageTables"),
        "secondary_page_tables": get("SecPageTables"),
        "kernel_stack": stack,
        # 0 is "not counted" (Linux 4.4 to 5.2); before, when VmallocChunk was above 0, it held ioremap()ed devices too; stacks are in it
        "vmalloc": _less(vmalloc, stack or 0) if vmalloc and not get("VmallocChunk") else None,
        "percpu": get("Percpu"),
        "bounce": get("Bounce"),
        "writeback": get("WritebackTmp"),
        "gpu": get("GPUActive"),
    }


def _of_which(fields: Mapping[str, int], arc: Arc | None, sockets: SocketMemory) -> dict[str, int]:
    """Return the sizes that overlap areas; one above MemTotal is no size."""
    overlapping = {
        "tcp_buffers": sockets.tcp,
        "udp_buffers": sockets.udp,
        "ip_fragments": sockets.fragments,
        "zfs_arc": arc.size if arc else None,
        "locked": fields.get("Mlocked"),
    }
    return {name: value for name, value in overlapping.items() if value is not None and value <= fields["MemTotal"]}


def _less(whole: int | None, part: int) -> int | None:
    return None if whole is None else max(whole - part, 0)


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None and second is None else (first or 0) + (second or 0)
