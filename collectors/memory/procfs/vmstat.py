"""Reads the few counters of /proc/vmstat that /proc/meminfo does not have (kernel: mm/vmstat.c). Units are pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import count, text_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WANTED = frozenset({"nr_zspages", "nr_balloon_pages", "balloon_inflate", "balloon_deflate"})


def read(proc: Path) -> Mapping[str, int]:
    """Give the wanted counters this kernel has; nothing where the file is missing."""
    return parse(text_or_none(f"{proc}/vmstat") or "")


def parse(text: str) -> Mapping[str, int]:
    """Give the wanted counters, in pages; what is nonsense is left out."""
    found: dict[str, int] = {}
    text = "\n" + text
    for name in WANTED:
        start = text.find(f"\n{name} ")  # 190 lines, of which we want four: no need to split them all on every tick
        if start >= 0:
            end = text.find("\n", start + 1)
            value = count(text[start + len(name) + 2 : end if end >= 0 else None].strip())
            if value is not None:
                found[name] = value
    return found
