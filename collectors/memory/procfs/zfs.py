"""Reads the ZFS cache (OpenZFS: module/zfs/arc.c and module/os/linux/zfs/abd_os.c), which Linux counts nowhere as a cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import count, text_or_none

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Arc:
    """Bytes. `size` is the whole cache, part of it slabs; `pages` what is in no counter of the kernel; `floor` where it stops shrinking."""

    size: int
    floor: int
    pages: int

    @property
    def shrinkable(self) -> int:
        """What the cache gives back under pressure, though MemAvailable does not say so."""
        return max(self.size - self.floor, 0)


def read(proc: Path) -> Arc | None:
    """Give this host's cache, or None where there is no ZFS."""
    folder = f"{proc}/spl/kstat/zfs"
    text = text_or_none(f"{folder}/arcstats")
    return parse(text, text_or_none(f"{folder}/abdstats") or "") if text else None


def parse(arcstats: str, abdstats: str) -> Arc | None:
    """Put the two together. Without abdstats (ZFS before 0.7) the whole cache is taken to be outside the kernel's counters."""
    arc, abd = _kstat(arcstats), _kstat(abdstats)
    if "size" not in arc:
        return None
    pages = abd["scatter_data_size"] + abd.get("scatter_chunk_waste", 0) if "scatter_data_size" in abd else arc["size"]
    return Arc(arc["size"], arc.get("c_min", 0), pages)


def _kstat(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines())
    pairs = ((row[0], count(row[2])) for row in rows if len(row) == 3)  # noqa: PLR2004 — name, type, data
    return {name: value for name, value in pairs if value is not None}
