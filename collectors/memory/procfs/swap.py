"""Swap that is compressed in memory: zswap's pool and zram's (kernel: mm/zswap.c, mm/zsmalloc.c, drivers/block/zram)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import text_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
