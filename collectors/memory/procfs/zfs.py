"""ZFS cache, ARC (OpenZFS: module/zfs/arc.c and module/os/linux/zfs/abd_os.c), which Linux does not count as a cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import parse_number, text_or_none

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Arc:
    """Bytes. `size` is the whole cache, part of it slabs; `pages` what is in no kernel counter; `c_min` where it stops shrinking."""

    size: int
    c_min: int
    pages: int

    @property
    def shrinkable(self) -> int:
        """Bytes that are freed under pressure; MemAvailable does not contain them."""
        return max(self.size - self.c_min, 0)


def read_arc(proc: Path) -> Arc | None:
    """Read this host's cache; None without ZFS."""
    folder = f"{proc}/spl/kstat/zfs"
    text = text_or_none(f"{folder}/arcstats")
    return parse_arc(text, text_or_none(f"{folder}/abdstats") or "") if text else None


def parse_arc(arcstats: str, abdstats: str) -> Arc | None:
    """Parse both files. Without abdstats (ZFS before 0.7) the whole cache is assumed to be outside the kernel's counters."""
    arc, abd = _kstat(arcstats), _kstat(abdstats)
    if "size" not in arc:
        return None
    pages = abd["scatter_data_size"] + abd.get("scatter_chunk_waste", 0) if "scatter_data_size" in abd else arc["size"]
    return Arc(arc["size"], arc.get("c_min", 0), pages)


def _kstat(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines())
    pairs = ((row[0], parse_number(row[2])) for row in rows if len(row) == 3)  # noqa: PLR2004 — name, type, data
    return {name: value for name, value in pairs if value is not None}
