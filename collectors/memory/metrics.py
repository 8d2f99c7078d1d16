"""Metrics of `[memory]`; the names are in docs/contract.md. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.evidence import notable_holders
from collectors.model import Family, Kind, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.memory.analysis import MemoryAnalysis

AREA = Family(
    "memory_area_bytes",
    Kind.GAUGE,
    "Memory by area in bytes. tcp_buffers, udp_buffers, ip_fragments, zfs_arc and locked overlap the others, which add up to MemTotal.",
    ("area",),
    cap=40,
)
GROWTH = Family("memory_kernel_growth_bytes_per_second", Kind.GAUGE, "Robust slope of unreclaimable kernel memory in bytes per second.")
EXHAUSTION = Family(
    "memory_exhaustion_seconds", Kind.GAUGE, "Seconds until available memory is exhausted at that slope; +Inf unless a leak is detected."
)
SLAB = Family("memory_slab_bytes", Kind.GAUGE, "Size in bytes of the slab caches that grew most.", ("cache",), cap=20)
HOLDER = Family(
    "memory_socket_holder_bytes", Kind.GAUGE, "Socket buffers in bytes of the largest holders in the newest scan.", ("comm", "pid"), cap=20
)


def measure(analysis: MemoryAnalysis) -> Iterator[Metric]:
    """Return the ledger, its trend, the caches that grew, and the holders of the newest scan."""
    reading, growth = analysis.reading, analysis.growth
    for area, size in {**reading.ledger.areas, **reading.ledger.of_which}.items():
        yield Metric(AREA, float(size), (area,))
    yield Metric(GROWTH, growth.slope)
    yield Metric(EXHAUSTION, growth.exhaustion(reading.ledger.available))
    for cache in analysis.slab_growth or ():
        yield Metric(SLAB, float((reading.slab or {}).get(cache, 0)), (cache,))
    for holder in notable_holders(reading.holders):
        yield Metric(HOLDER, float(holder["bytes"]), (holder["comm"], str(holder["pid"])))
