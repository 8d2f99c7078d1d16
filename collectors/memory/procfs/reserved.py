"""Reads how much memory is set aside as huge pages (Documentation/admin-guide/mm/hugetlbpage.rst)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import count, text_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def reserved(fields: Mapping[str, int], sys: Path) -> int:
    """Give bytes of huge pages of all sizes, free and used.

    `Hugetlb` (kernel 4.17 and later) is exact. Before that, the pool of each size is in /sys; meminfo itself knows the default size only.
    """
    if "Hugetlb" in fields:
        return fields["Hugetlb"]
    pools = [_pool(folder) for folder in sorted(sys.glob("kernel/mm/hugepages/hugepages-*kB"))]
    if pools:
        return sum(pools)
    return fields.get("HugePages_Total", 0) * fields.get("Hugepagesize", 0)


def _pool(folder: Path) -> int:
    size = count(folder.name.removeprefix("hugepages-").removesuffix("kB"))
    pages = count((text_or_none(folder / "nr_hugepages") or "").strip())
    return (size or 0) * 1024 * (pages or 0)
