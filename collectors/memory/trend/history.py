"""History of the ledger between ticks and across restarts: the window, and snapshots of slab caches and modules. Pure.

It is valid for one boot and one size of the machine: after a reboot, and when a balloon or hot-plugged memory changes MemTotal or the pool
of huge pages is resized, there is nothing to compare with, and a new history begins.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from collectors.memory.ledger import UNRECLAIMABLE
from collectors.memory.trend.window import FAST, SLOW, Point, Size, Window, ascending
from collectors.state import Seconds, State, Text

if TYPE_CHECKING:
    from collectors.memory.ledger import Ledger

SIZES = (*UNRECLAIMABLE, "tcp_buffers", "udp_buffers")
TOLERANCE = 0.001  # of MemTotal: Xen's balloon moves by a few pages all the time
MAX_SNAPSHOTS = 24  # every six hours: six days


class KernelSnapshot(msgspec.Struct, frozen=True):
    """The slab caches above a megabyte (None where they are not readable) and the loaded modules, at one moment."""

    at: Seconds = 0.0
    slab: dict[Text, Size] | None = None
    modules: frozenset[Text] = frozenset()


class SavedHistory(State, frozen=True):
    """State of the collector: a `LedgerHistory`."""

    boot: Text = ""
    total: Size = 0
    hugepages: Size = 0
    fast: tuple[Point, ...] = ()
    slow: tuple[Point, ...] = ()
    lowest: Point | None = None
    snapshots: tuple[KernelSnapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class LedgerHistory:
    """`boot` is the boot id, `total` (MemTotal) and `hugepages` are bytes; `snapshots` are taken a few times a day, oldest first."""

    boot: str
    total: int
    hugepages: int
    window: Window = field(default_factory=Window)
    snapshots: tuple[KernelSnapshot, ...] = ()

    def is_comparable(self, boot: str, ledger: Ledger) -> bool:
        """Return whether boot and sizes are the same as before, so that the numbers can be compared."""
        moved = max(abs(ledger.total - self.total), abs(ledger.areas.get("hugepages", 0) - self.hugepages))
        return boot == self.boot and moved <= ledger.total * TOLERANCE

    def add(self, at: float, ledger: Ledger) -> LedgerHistory:
        """Return the history with one more point."""
        parts = tuple(ledger.areas.get(name, ledger.of_which.get(name, 0)) for name in SIZES)
        return replace(self, window=self.window.add(Point(at, ledger.unreclaimable, parts)))

    def add_snapshot(self, new: KernelSnapshot) -> LedgerHistory:
        """Return the history with one more snapshot."""
        return replace(self, snapshots=(*self.snapshots, new)[-MAX_SNAPSHOTS:])

    def snapshot_before(self, at: float) -> KernelSnapshot:
        """Return the newest snapshot that is not after `at`, else the oldest."""
        older = [snapshot for snapshot in self.snapshots if snapshot.at <= at]
        return older[-1] if older else self.snapshots[0] if self.snapshots else KernelSnapshot()

    def sizes_before(self, at: float) -> dict[str, int]:
        """Return the areas of SIZES in the newest point that is not after `at`, else in the oldest."""
        slow, fast = self.window.slow, self.window.fast
        ends = [row[bisect_right(row, at, key=attrgetter("at")) - 1] for row in (slow, fast) if row and row[0].at <= at]
        point = max(ends, key=attrgetter("at")) if ends else (slow or fast or (None,))[0]
        return dict(zip(SIZES, point.parts, strict=False)) if point else {}

    def saved(self) -> SavedHistory:
        """Return what is saved."""
        window = self.window
        return SavedHistory(
            boot=self.boot,
            total=self.total,
            hugepages=self.hugepages,
            fast=window.fast,
            slow=window.slow,
            lowest=window.lowest,
            snapshots=self.snapshots,
        )


def new_history(boot: str, ledger: Ledger) -> LedgerHistory:
    """Return an empty history."""
    return LedgerHistory(boot, ledger.total, ledger.areas.get("hugepages", 0))


def restore(saved: SavedHistory, boot: str, ledger: Ledger, now: float) -> tuple[LedgerHistory, int]:
    """Return the saved history, an empty one if it is of another boot or size, and how many records were dropped: of no possible time."""
    new, oldest = new_history(boot, ledger), (saved.lowest,) if saved.lowest else ()
    if not LedgerHistory(saved.boot, saved.total, saved.hugepages).is_comparable(boot, ledger):
        return new, 0
    fast, slow, lowest = (ascending([p for p in row if len(p.parts) == len(SIZES)], now) for row in (saved.fast, saved.slow, oldest))
    snapshots = tuple(snapshot for snapshot in saved.snapshots if snapshot.at <= now)
    kept = len(fast) + len(slow) + len(lowest) + len(snapshots)
    rejected = len(saved.fast) + len(saved.slow) + len(oldest) + len(saved.snapshots) - kept
    if not fast:
        return new, rejected
    return replace(
        new, window=Window(fast[-FAST:], slow[-SLOW:], lowest[0] if lowest else None), snapshots=snapshots[-MAX_SNAPSHOTS:]
    ), rejected
