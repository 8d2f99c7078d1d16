"""Memory that swapping takes: the swap cache (kernel: mm/swap_state.c), zswap's pool (mm/zswap.c) and zram's (mm/zsmalloc.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import text_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LRU_LISTS = ("Active(anon)", "Inactive(anon)", "Active(file)", "Inactive(file)", "Unevictable")
OWN_POOLS = frozenset({"zbud", "z3fold"})  # zswap's allocators, until 6.17, whose pages are not zsmalloc's


def compressed_swap_bytes(fields: Mapping[str, int], counters: Mapping[str, int], page: int, sys: Path) -> int | None:
    """Return the bytes that compressed swap takes; None where the kernel counts neither pool.

    `Zswap` of meminfo (Linux 5.19) is zswap's pool, `nr_zspages` of vmstat the pages of zsmalloc: all of zram's, and zswap's as well if
    that is its allocator, which it always is since 6.18. So the two are added only where zswap has an allocator of its own.
    """
    zswap, zspages = fields.get("Zswap"), counters.get("nr_zspages")
    if zswap is None and zspages is None:
        return None
    pool, pages = zswap or 0, (zspages or 0) * page
    if pool and pages and (text_or_none(f"{sys}/module/zswap/parameters/zpool") or "").strip() in OWN_POOLS:
        return pool + pages
    return max(pool, pages)


def mapped_swap_cache(fields: Mapping[str, int], isolated: int, rest: int) -> int:
    """Return the bytes that are counted twice, in AnonPages and in SwapCached: pages in the swap cache that processes map.

    No counter has them. A page that was swapped in stays in the swap cache while it is only read (mm/memory.c, do_swap_page, until half of
    the swap is full), and one on its way out is there before it is unmapped (mm/vmscan.c); mm/swap_state.c counts it in SwapCached
    (NR_SWAPCACHE, before Linux 5.12 the sum of `nrpages`), mm/rmap.c in AnonPages (NR_ANON_MAPPED). But each page of AnonPages, SwapCached,
    Cached and Buffers is on exactly one LRU list, or isolated from it: so what these four have above the lists is what is counted twice.
    That is exact except for the pages on their way to a list (dozens for each CPU) and those on a list that left the page cache.

    It is at least 0 and at most the smaller of both counters. Where the areas still exceed MemTotal (`rest` below 0), or the lists are
    unknown, it is as much as that excess, within the same bounds: no page can be in more than the memory there is.
    """
    most = min(fields.get("AnonPages", 0), fields.get("SwapCached", 0))
    if not most:
        return 0
    counted = sum(fields.get(name, 0) for name in ("AnonPages", "SwapCached", "Cached", "Buffers"))
    listed = sum(fields[name] for name in LRU_LISTS) + isolated if all(name in fields for name in LRU_LISTS) else counted
    mapped = min(max(counted - listed, 0), most)
    return min(max(mapped, -rest), most)
