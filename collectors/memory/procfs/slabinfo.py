"""Reads /proc/slabinfo (slabinfo(5); kernel: mm/slab_common.c). It is root's: mode 0400, CAP_DAC_READ_SEARCH otherwise.

The sum of all caches can be far below `Slab`: a kmalloc() of more than two pages belongs to no cache, but is in SUnreclaim.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import count, text_of, text_or_none
from collectors.memory.units import WORTH_A_WORD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def unreclaimable(proc: Path, sys_root: Path, page: int) -> Mapping[str, int]:
    """Give the bytes of each cache that the kernel cannot shrink. Raises `Unavailable` where slabinfo is missing or not for us.

    A directory cache that grew beside a leak is not the leak. Which caches can be shrunk (SLAB_RECLAIM_ACCOUNT) slabinfo does not say,
    /sys/kernel/slab does (mm/slub.c, 0400 as well); a cache that it does not know, or that is too small to matter, stays in.
    """
    caches = parse(text_of(f"{proc}/slabinfo"), page)
    return {name: size for name, size in caches.items() if size < WORTH_A_WORD or not _shrinks(sys_root, name)}


def _shrinks(sys_root: Path, name: str) -> bool:
    return "/" not in name and text_or_none(f"{sys_root}/kernel/slab/{name}/reclaim_account") == "1\n"


def parse(text: str, page: int) -> Mapping[str, int]:
    """Give name → bytes: number of slabs x pages per slab x page size. Lines that are no caches are passed over."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        if line.startswith(("#", "slabinfo")):
            continue
        head, _, rest = line.partition(" : tunables")
        columns, data = head.split(), rest.rpartition("slabdata")[2].split()
        if len(columns) < 6 or len(data) < 2:  # noqa: PLR2004 — name and five numbers; active slabs, slabs, shared
            continue
        pages, slabs = count(columns[5]), count(data[1])
        if pages is not None and slabs is not None and slabs:
            name = sys.intern(columns[0])  # a day of marks has each name many times
            found[name] = found.get(name, 0) + pages * slabs * page
    return found


def gained(now: Mapping[str, int] | None, before: Mapping[str, int] | None, top: int) -> dict[str, int] | None:
    """Give the `top` caches that gained a megabyte or more, most first; None where we may not see them."""
    if now is None:
        return None
    gains = ((name, size - (before or {}).get(name, 0)) for name, size in now.items())
    return dict(sorted(((name, gain) for name, gain in gains if gain >= WORTH_A_WORD), key=lambda item: -item[1])[:top])


class Gained:
    """`gained`, but asked again about the same two only once: they stay the same for many ticks, and there are hundreds of caches."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._last: tuple[Mapping[str, int] | None, Mapping[str, int] | None, dict[str, int] | None] = (None, None, None)

    def __call__(self, now: Mapping[str, int] | None, before: Mapping[str, int] | None) -> dict[str, int] | None:
        """Give the top caches that gained."""
        if self._last[0] is not now or self._last[1] is not before:
            self._last = (now, before, gained(now, before, self._top))
        return self._last[2]
