"""/proc/vmstat and /proc/zoneinfo (kernel: mm/vmstat.c): counters that /proc/meminfo does not have.

The pages in each CPU's own lists (zoneinfo) are free, but MemFree does not count them (NR_FREE_PAGES is the buddy allocator's). Since
Linux 6.7 the lists grow on demand, all together up to an eighth of the memory (`high_max` in the same file): without them `unaccounted`
moves by hundreds of megabytes on an idle host, and hides a leak that takes pages from there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import LARGEST, parse_number, text_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ISOLATED = ("nr_isolated_anon", "nr_isolated_file")  # pages that reclaim, compaction or migration has taken off the LRU lists for a while
WANTED = frozenset({"nr_zspages", "nr_balloon_pages", "balloon_inflate", "balloon_deflate", *ISOLATED})
_COUNT = re.compile(r"^ +count: +(\d{1,15})$", re.ASCII | re.MULTILINE)  # one for each zone and CPU; no other field has this name


def read_vmstat(proc: Path) -> Mapping[str, int]:
    """Read the wanted counters this kernel has, in pages; empty where the file is missing."""
    return parse_vmstat(text_or_none(f"{proc}/vmstat") or "")


def parse_vmstat(text: str) -> Mapping[str, int]:
    """Parse the wanted counters, in pages; invalid ones are left out."""
    found: dict[str, int] = {}
    text = "\n" + text
    for name in WANTED:
        start = text.find(f"\n{name} ")  # 190 lines, of which six are wanted: no need to split them all on every tick
        if start >= 0:
            end = text.find("\n", start + 1)
            if (value := parse_number(text[start + len(name) + 2 : end if end >= 0 else None].strip())) is not None:
                found[name] = value
    return found


def read_cpu_lists(proc: Path, page: int) -> int | None:
    """Read the bytes in the lists of all CPUs (zoneinfo_show_print); None where the kernel has no such counts, or impossible ones."""
    counts = _COUNT.findall(text_or_none(f"{proc}/zoneinfo") or "")
    size = sum(map(int, counts)) * page
    return size if counts and size < LARGEST else None
