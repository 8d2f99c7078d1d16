"""Reading of `[memory]` and what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.memory.ledger import Ledger
    from collectors.memory.procfs.processes import ProcessMemory
    from collectors.memory.trend.history import LedgerHistory
    from collectors.memory.trend.window import Window

Holders = dict[str, Any]  # the answer of collectors.memory.holders.helper


@dataclass(frozen=True, slots=True)
class ProcessWindows:
    """The processes with most private memory and the window of each, with the ledger of the same moment.

    `complete` is False where other users' processes are not visible.
    """

    ledger: Ledger
    processes: tuple[tuple[ProcessMemory, Window], ...] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """One tick. `at` is seconds of CLOCK_BOOTTIME, `wall` Unix time, for messages only.

    `slab` is bytes by unreclaimable cache, as of the last quarter of an hour; None where /proc/slabinfo is not readable, and `slab_error`
    then has the reason. `holders` is the newest answer of the holder scan, None without one, and `holders_error` why there is none.
    `modules` (loaded), `dying_cgroups` and `pressed_protocols` are read by `follow_up()`, while there is a leak.
    """

    at: float
    wall: float
    ledger: Ledger
    history: LedgerHistory
    processes: ProcessWindows
    slab: Mapping[str, int] | None = None
    slab_error: str = ""
    holders: Holders | None = None
    holders_error: str = ""
    modules: frozenset[str] = frozenset()
    dying_cgroups: int | None = None
    pressed_protocols: tuple[str, ...] = ()
