"""Analysis of a reading: what grew, by how much, and since when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.memory.last_result import last_result
from collectors.memory.process_trends import process_growth
from collectors.memory.procfs.slabinfo import largest_gains
from collectors.memory.trend.growth import growth
from collectors.memory.trend.window import QUARTER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.memory.process_trends import ProcessGrowth
    from collectors.memory.reading import MemoryReading
    from collectors.memory.settings import MemorySettings
    from collectors.memory.trend.statistics import Growth

TOP_CACHES = 10


@dataclass(frozen=True, slots=True)
class MemoryAnalysis:
    """`before` is what the areas of `history.SIZES` were when the growth began, as far back as the history goes.

    `slab_growth` is bytes by cache since then, largest first, None where /proc/slabinfo is not readable; `new_modules` were loaded since.
    """

    reading: MemoryReading
    growth: Growth
    before: Mapping[str, int]
    slab_growth: Mapping[str, int] | None = None
    new_modules: frozenset[str] = frozenset()
    processes: tuple[ProcessGrowth, ...] = ()


@last_result
def analyse(reading: MemoryReading, settings: MemorySettings) -> MemoryAnalysis:
    """Analyse a reading; `judge()`, `measure()` and `show()` of one reading share the result."""
    history = reading.history
    found = growth(history.window, history.total, reading.ledger.available, settings.max_extrapolation)
    snapshot = history.snapshot_before(reading.at - max(found.span, QUARTER))
    return MemoryAnalysis(
        reading=reading,
        growth=found,
        before=history.sizes_before(reading.at - found.span),
        slab_growth=largest_gains(reading.slab, snapshot.slab, TOP_CACHES),
        new_modules=reading.modules - snapshot.modules if reading.modules else reading.modules,
        processes=process_growth(reading.processes, settings.max_extrapolation),
    )
