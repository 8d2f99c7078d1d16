"""Reads the free pages in each CPU's own lists from /proc/zoneinfo (kernel: mm/vmstat.c, zoneinfo_show_print).

They are free, but MemFree does not count them (NR_FREE_PAGES is the buddy allocator's). Since Linux 6.7 the lists grow on demand, all
together up to an eighth of the memory (`high_max` in the same file): without them `unaccounted` moves by
hundreds of megabytes on an idle host, and a real leak hides behind the pages it takes from there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import LARGEST, text_or_none

if TYPE_CHECKING:
    from pathlib import Path

_COUNT = re.compile(r"^ +count: +(\d{1,15})$", re.ASCII | re.MULTILINE)  # one for each zone and CPU; nothing else is named so


def read(proc: Path, page: int) -> int | None:
    """Give the bytes in the lists of all CPUs; None where the kernel does not say. `page` is the page size in bytes."""
    return parse(text_or_none(f"{proc}/zoneinfo") or "", page)


def parse(text: str, page: int) -> int | None:
    """Add up the counts; None where there is none, or where they cannot be true."""
    counts = _COUNT.findall(text)
    size = sum(map(int, counts)) * page
    return size if counts and size < LARGEST else None
