"""History of the ledger between ticks and across restarts: the window, and snapshots of slab caches and modules. Pure.

It is valid for one boot and one size of the machine: after a reboot, and when a balloon or hot-plugged memory changes MemTotal or the pool
of huge pages is resized, there is nothing to compare with, and a new history begins.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from collectors.memory.ledger import UNRECLAIMABLE
from collectors.memory.procfs.small_files import LARGEST
from collectors.memory.trend.window import Point, Window, window_from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.memory.ledger import Ledger

SIZES = (*UNRECLAIMABLE, "tcp_buffers", "udp_buffers")
TOLERANCE = 0.001  # of MemTotal: Xen's balloon moves by a few pages all the time
MAX_SNAPSHOTS = 24  # every six hours: six days


@dataclass(frozen=True, slots=True)
class KernelSnapshot:
    """The slab caches above a megabyte (None where they are not readable) and the loaded modules, at one moment."""

    at: float = 0.0
    slab: Mapping[str, int] | None = None
    modules: frozenset[str] = frozenset()


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

    def to_json(self) -> dict[str, Any]:
        """Return the history as JSON values."""
        rows = [{"at": s.at, "slab": None if s.slab is None else dict(s.slab), "modules": sorted(s.modules)} for s in self.snapshots]
        return {"boot": self.boot, "total": self.total, "hugepages": self.hugepages, "window": self.window.to_json(), "snapshots": rows}


def new_history(boot: str, ledger: Ledger) -> LedgerHistory:
    """Return an empty history."""
    return LedgerHistory(boot, ledger.total, ledger.areas.get("hugepages", 0))


def restore(value: Any, boot: str, ledger: Ledger, now: float) -> LedgerHistory:  # noqa: ANN401 — the contents of a file, so any JSON value
    """Parse a saved history, if it is valid and of this boot and size; otherwise return an empty one."""
    new = new_history(boot, ledger)
    if not isinstance(value, dict):
        return new
    try:
        saved = LedgerHistory(str(value["boot"]), int(value["total"]), int(value["hugepages"]))
        if not saved.is_comparable(boot, ledger):
            return new
        window = window_from_json(value["window"], len(SIZES), now)
        snapshots = tuple(_snapshot(row, now) for row in value["snapshots"][-MAX_SNAPSHOTS:])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return new
    return replace(new, window=window, snapshots=snapshots if window.fast else ())


def _snapshot(row: Mapping[str, Any], now: float) -> KernelSnapshot:
    at = float(row["at"])
    if not 0 <= at <= now:
        raise ValueError(at)
    slab = None if row["slab"] is None else _sizes(row["slab"])
    return KernelSnapshot(at, slab, frozenset(str(name) for name in row["modules"]))


def _sizes(row: Mapping[str, Any]) -> dict[str, int]:
    sizes = {str(name): int(number) for name, number in row.items()}
    if any(abs(number) > LARGEST for number in sizes.values()):
        raise ValueError(row)
    return sizes
