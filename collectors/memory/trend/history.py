"""What the collector remembers between ticks and across restarts: the points, and what slab caches and modules there were.

Everything hangs on the boot and on the size of the machine: after a reboot, and when a balloon or a hot-plugged module changes MemTotal or
the pool of huge pages changes, there is nothing to compare with, and it starts afresh.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from collectors.memory.ledger import HELD
from collectors.memory.procfs.small_files import LARGEST
from collectors.memory.trend.window import Point, Window, of_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.memory.ledger import Ledger

SIZES = (*HELD, "tcp_buffers", "udp_buffers")
SAME = 0.001  # of MemTotal: Xen's balloon moves by a few pages all the time


@dataclass(frozen=True, slots=True)
class Mark:
    """How things were at one moment: the slab caches above a megabyte (None where we may not read them), the modules."""

    at: float = 0.0
    slab: Mapping[str, int] | None = None
    modules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class History:
    """`boot` is the boot's id, `total` and `hugepages` bytes; `marks` are taken a few times a day, oldest first."""

    boot: str
    total: int
    hugepages: int
    window: Window = field(default_factory=Window)
    marks: tuple[Mark, ...] = ()

    def still(self, boot: str, ledger: Ledger) -> bool:
        """Whether this is the same machine as before, so that its numbers can be compared."""
        moved = max(abs(ledger.total - self.total), abs(ledger.areas.get("hugepages", 0) - self.hugepages))
        return boot == self.boot and moved <= ledger.total * SAME

    def add(self, at: float, ledger: Ledger) -> History:
        """Give the history with one more point."""
        parts = tuple(ledger.areas.get(name, ledger.of_which.get(name, 0)) for name in SIZES)
        return replace(self, window=self.window.add(Point(at, ledger.held, parts)))

    def mark(self, new: Mark, keep: int) -> History:
        """Give the history with one more mark."""
        return replace(self, marks=(*self.marks, new)[-keep:])

    def before(self, at: float) -> Mark:
        """Give the newest mark that is not after `at`, else the oldest."""
        older = [mark for mark in self.marks if mark.at <= at]
        return older[-1] if older else self.marks[0] if self.marks else Mark()

    def sizes(self, at: float) -> dict[str, int]:
        """Give the areas of SIZES as the newest point that is not after `at` has them, else the oldest."""
        slow, fast = self.window.slow, self.window.fast
        ends = [row[bisect_right(row, at, key=attrgetter("at")) - 1] for row in (slow, fast) if row and row[0].at <= at]
        point = max(ends, key=attrgetter("at")) if ends else (slow or fast or (None,))[0]
        return dict(zip(SIZES, point.parts, strict=False)) if point else {}

    def plain(self) -> dict[str, Any]:
        """Say it in JSON values."""
        marks = [{"at": m.at, "slab": None if m.slab is None else dict(m.slab), "modules": sorted(m.modules)} for m in self.marks]
        return {"boot": self.boot, "total": self.total, "hugepages": self.hugepages, "window": self.window.plain(), "marks": marks}


def begin(boot: str, ledger: Ledger) -> History:
    """Start afresh."""
    return History(boot, ledger.total, ledger.areas.get("hugepages", 0))


def restore(value: Any, boot: str, ledger: Ledger, now: float) -> History:  # noqa: ANN401 — what a file held, so anything at all
    """Take up what was saved, if it is of this boot and this machine and makes sense; start afresh otherwise."""
    new = begin(boot, ledger)
    if not isinstance(value, dict):
        return new
    try:
        saved = History(str(value["boot"]), int(value["total"]), int(value["hugepages"]))
        if not saved.still(boot, ledger):
            return new
        window = of_plain(value["window"], len(SIZES), now)
        marks = tuple(_mark(row, now) for row in value["marks"][-24:])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return new
    return replace(new, window=window, marks=marks if window.fast else ())


def _mark(row: Mapping[str, Any], now: float) -> Mark:
    at = float(row["at"])
    if not 0 <= at <= now:
        raise ValueError(at)
    slab = None if row["slab"] is None else _sizes(row["slab"])
    return Mark(at, slab, frozenset(str(name) for name in row["modules"]))


def _sizes(row: Mapping[str, Any]) -> dict[str, int]:
    sizes = {str(name): int(number) for name, number in row.items()}
    if any(abs(number) > LARGEST for number in sizes.values()):
        raise ValueError(row)
    return sizes
