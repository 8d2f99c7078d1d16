"""/proc/slabinfo (slabinfo(5); kernel: mm/slab_common.c), mode 0400: root or CAP_DAC_READ_SEARCH.

The sum of all caches can be far below `Slab`: a kmalloc() of more than two pages belongs to no cache, but is in SUnreclaim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.last_result import last_result
from collectors.memory.procfs.small_files import LARGEST, parse_number, text_of, text_or_none
from collectors.memory.units import NOTABLE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_unreclaimable(proc: Path, sys_root: Path, page: int) -> Mapping[str, int]:
    """Read the bytes of each cache that the kernel cannot shrink. Raises `Unavailable` where slabinfo is missing or not readable.

    A directory cache that grew beside a leak is not the leak. Which caches can be shrunk (SLAB_RECLAIM_ACCOUNT) is not in slabinfo but in
    /sys/kernel/slab (mm/slub.c, 0400 as well); a cache that is missing there, or too small to matter, is kept.
    """
    caches = parse_slabinfo(text_of(f"{proc}/slabinfo"), page)
    return {name: size for name, size in caches.items() if size < NOTABLE_BYTES or not _is_reclaimable(sys_root, name)}


def _is_reclaimable(sys_root: Path, name: str) -> bool:
    return "/" not in name and text_or_none(f"{sys_root}/kernel/slab/{name}/reclaim_account") == "1\n"


def parse_slabinfo(text: str, page: int) -> Mapping[str, int]:
    """Parse name → bytes: number of slabs x pages per slab x page size. Invalid lines are skipped."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        if line.startswith(("#", "slabinfo")):
            continue
        head, _, rest = line.partition(" : tunables")
        columns, data = head.split(), rest.rpartition("slabdata")[2].split()
        if len(columns) < 6 or len(data) < 2:  # noqa: PLR2004 — name and five numbers; active slabs, slabs, shared
            continue
        pages, slabs = parse_number(columns[5]), parse_number(data[1])
        if pages is not None and slabs and pages * slabs * page < LARGEST:
            found[columns[0]] = found.get(columns[0], 0) + pages * slabs * page
    return found


@last_result
def largest_gains(now: Mapping[str, int] | None, before: Mapping[str, int] | None, top: int) -> dict[str, int] | None:
    """Return the `top` caches that gained a megabyte or more, most first; None where slabinfo was not readable. Pure.

    Both mappings stay the same objects for many ticks, and have hundreds of caches: hence the last result is kept.
    """
    if now is None:
        return None
    gains = ((name, size - (before or {}).get(name, 0)) for name, size in now.items())
    return dict(sorted(((name, gain) for name, gain in gains if gain >= NOTABLE_BYTES), key=lambda item: -item[1])[:top])
