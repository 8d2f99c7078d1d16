"""Sorts a host's memory into areas that add up to MemTotal; what no counter owns is `unaccounted`. Pure.

The formula, its sources and its pitfalls are in docs/memory.md. Nothing here is a guess for a field that is missing: a missing area is
not in the ledger, and its pages, if there are any, are in `unaccounted`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.memory.procfs.sockstat import Sockets
    from collectors.memory.procfs.zfs import Arc

FREE = ("free", "free_lists")  # the second: pages in each CPU's own lists, which MemFree does not count
USER = ("anonymous", "page_cache", "shared_memory", "swap_cache", "compressed_swap")  # a process or a file owns it
SET_ASIDE = ("hugepages", "balloon", "corrupted")  # somebody decided so
RECLAIMABLE = ("slab_reclaimable", "misc_reclaimable", "zfs_cache", "gpu_reclaimable")  # the kernel gives it back under pressure
HELD = (  # the kernel has it and cannot give it back: here leaks live
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
AREAS = FREE + USER + SET_ASIDE + RECLAIMABLE + HELD
OF_WHICH = ("tcp_buffers", "udp_buffers", "ip_fragments", "zfs_arc", "locked")  # facts that overlap the areas instead of adding to them


@dataclass(frozen=True, slots=True)
class Ledger:
    """All sizes are bytes. The areas and `excess` add up to `total` exactly.

    `excess` is 0 or below: by how much the counters say more than MemTotal, since they are not read in one instant and each CPU
    keeps a small part of them to itself. `available` is what MemAvailable says, and what the ZFS cache would give back besides.
    """

    total: int
    available: int
    areas: Mapping[str, int]
    of_which: Mapping[str, int]
    excess: int = 0

    @property
    def held(self) -> int:
        """What the kernel holds and cannot give back. May be below what its areas say by `excess`, so that it has no kink at zero."""
        return sum(self.areas.get(area, 0) for area in HELD) + self.excess

    @property
    def consistent(self) -> bool:
        """Whether the counters can all be of one host: lxcfs, for one, mixes a cgroup's with the host's."""
        return -self.excess <= self.total // 50 + (64 << 20)


@dataclass(frozen=True, slots=True)
class Besides:
    """What meminfo does not say, in bytes. `hugepages` and `balloon` are inside MemTotal; None is "this kernel does not tell"."""

    sockets: Sockets
    hugepages: int = 0
    balloon: int = 0
    lists: int | None = None
    zspages: int | None = None
    arc: Arc | None = None


def ledger(fields: Mapping[str, int], besides: Besides) -> Ledger:
    """Put the facts together; `fields` are meminfo's, in bytes."""
    arc = besides.arc
    areas = {name: value for name, value in _named(fields, besides).items() if value is not None}
    rest = fields["MemTotal"] - sum(areas.values())
    if arc is not None:
        areas["zfs_cache"] = min(arc.pages, max(rest, 0))
        rest -= areas["zfs_cache"]
    areas["unaccounted"] = max(rest, 0)
    available = fields.get("MemAvailable")
    if available is None:  # before Linux 3.14
        available = sum(areas.get(area, 0) for area in ("free", "page_cache", "slab_reclaimable"))
    if arc is not None:
        available += min(arc.shrinkable, areas["zfs_cache"])
    return Ledger(fields["MemTotal"], min(available, fields["MemTotal"]), areas, _of_which(fields, arc, besides.sockets), min(rest, 0))


def _named(fields: Mapping[str, int], besides: Besides) -> dict[str, int | None]:
    get = fields.get
    shmem, stack, vmalloc = get("Shmem"), get("KernelStack"), get("VmallocUsed")
    return {
        "free": get("MemFree"),
        "free_lists": besides.lists,
        "anonymous": get("AnonPages"),
        "page_cache": _sum(_less(get("Cached"), shmem or 0), get("Buffers")),
        "shared_memory": shmem,
        "swap_cache": get("SwapCached"),
        "compressed_swap": _largest(get("Zswap"), besides.zspages),  # zswap's pool is zsmalloc's since 6.18, zram's always was
        "hugepages": besides.hugepages or None,
        "balloon": besides.balloon or None,
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


def _of_which(fields: Mapping[str, int], arc: Arc | None, sockets: Sockets) -> dict[str, int]:
    facts = {
        "tcp_buffers": sockets.tcp,
        "udp_buffers": sockets.udp,
        "ip_fragments": sockets.fragments,
        "zfs_arc": arc.size if arc else None,
        "locked": fields.get("Mlocked"),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _less(whole: int | None, part: int) -> int | None:
    return None if whole is None else max(whole - part, 0)


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None and second is None else (first or 0) + (second or 0)


def _largest(first: int | None, second: int | None) -> int | None:
    return None if first is None and second is None else max(first or 0, second or 0)
