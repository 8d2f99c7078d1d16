"""What one look at the host's memory saw: the collector's Reading and its parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.memory.ledger import Ledger
    from collectors.memory.procfs.processes import Process
    from collectors.memory.trend.robust import Growth
    from collectors.memory.trend.window import Window


@dataclass(frozen=True, slots=True)
class Own:
    """A large process and the trend of its own memory."""

    process: Process
    growth: Growth


@dataclass(frozen=True, slots=True)
class Reading:
    """`before` is what the areas of `history.SIZES` were when the growth began, as far back as we remember.

    `at` is seconds of CLOCK_BOOTTIME, `wall` Unix time, for people to read only.
    `slab_growth` is bytes by cache since then, largest first, or None where /proc/slabinfo is not for us; `slab_problem` says why.
    `holders` is the last answer of `collectors.memory.holders.helper`, None where none was wanted; `modules` are those that arrived since.
    """

    at: float
    wall: float
    ledger: Ledger
    growth: Growth
    before: Mapping[str, int]
    window: Window
    since: float = 0.0
    slab: Mapping[str, int] | None = None
    slab_growth: Mapping[str, int] | None = None
    slab_problem: str = ""
    holders: Mapping[str, Any] | None = None
    holders_problem: str = ""
    modules: frozenset[str] = frozenset()
    dying_cgroups: int | None = None
    pressed: tuple[str, ...] = ()
    processes: tuple[Own, ...] = field(default=())
