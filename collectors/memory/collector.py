"""The kernel-memory ledger: what is growing that no process owns, who holds it, and when it runs out."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, ClassVar

from collectors.collector import Collector
from collectors.memory import judge as verdicts
from collectors.memory import metrics, panels
from collectors.memory.attribution import SLAB_NEEDED
from collectors.memory.evidence import worth_a_word
from collectors.memory.holders.scan import Blame
from collectors.memory.ledger_reader import Books
from collectors.memory.process_trends import Followed
from collectors.memory.procfs import cgroup, modules, protocols, slabinfo
from collectors.memory.procfs.small_files import text_or_none
from collectors.memory.reading import Reading
from collectors.memory.settings import MemorySettings
from collectors.memory.trend import growth as trend
from collectors.memory.trend.history import History, Mark, begin, restore
from collectors.memory.trend.robust import BLOCKS
from collectors.memory.trend.window import QUARTER, Point, Window
from collectors.memory.units import WORTH_A_WORD
from collectors.model import Metric, Mode, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.memory.holders.scan import Found
    from collectors.memory.ledger import Ledger
    from collectors.memory.trend.robust import Growth
    from collectors.model import CollectorContext, Verdict
    from collectors.panel import Panel
    from collectors.settings import Settings

PAGE = os.sysconf("SC_PAGE_SIZE")
MARKS = 24  # every six hours: six days
MARK_APART = 21_600.0  # seconds
TOP_CACHES = 10
SUSPICIOUS = 256 << 20  # bytes, or 1 % of MemTotal if that is less: gained since the last look, enough to look again
REMEMBERED = 3600.0  # seconds for which the last look's answer is shown
PATIENCE_OF_PEOPLE = 15.0  # seconds `vitald check` waits for holders


class KernelMemory(Collector[Reading]):
    """Sorts all memory into areas that add up, watches what the kernel cannot give back, and looks for holders when that grows.

    `thorough` is for `vitald check`: look for holders in the first `read()` already, and wait for the answer.
    """

    name = "memory"
    Settings: ClassVar[type[Settings]] = MemorySettings

    def __init__(self, settings: MemorySettings, host: CollectorContext) -> None:
        self._limits = settings
        self._host = host
        self._books = Books(host.proc, host.sys, PAGE)
        self._blame = Blame(host.proc, hurry=host.mode is Mode.CHECK)
        self._followed = Followed(host.proc, PAGE)
        self._history: History | None = None
        self._steady: tuple[tuple[Point, ...], Growth | None] = ((), None)
        self._looked_at: int | None = None
        self._found: tuple[float, Found] | None = None
        self._slab: Mapping[str, int] | None = None
        self._slab_problem = ""
        self._gained = slabinfo.Gained(TOP_CACHES)
        self.thorough = host.mode is Mode.CHECK
        self.clock = _boottime  # seconds; tests turn it faster

    def read(self) -> Reading:
        """Take the ledger; once a quarter of an hour also the caches, the modules and a copy for the state directory."""
        now = self.clock()
        books = self._books.take()
        history = self._remember(now, books)
        growth = self._growth(history.window, books)
        if growth.sure or self._suspicious(books) or self.thorough:
            self._look(now, books)
        found = self._blame.wait(PATIENCE_OF_PEOPLE) if self.thorough else self._blame.poll(now)
        if found is not None:
            self._found = (now, found)
        self.thorough = False
        if self._found and now - self._found[0] > REMEMBERED:
            self._found = None
        return self._reading(now, books, history, growth)

    @staticmethod
    def judge(readings: Sequence[Reading], settings: MemorySettings) -> Iterator[Verdict]:
        """Give one verdict on the kernel's memory and one on the processes'."""
        yield verdicts.kernel(readings[-1], settings)
        yield verdicts.process(readings[-1], settings)

    @staticmethod
    def measure(reading: Reading, _settings: MemorySettings) -> Iterator[Metric]:
        """Give the ledger, its trend, and the holders of the last look."""
        for area, size in {**reading.ledger.areas, **reading.ledger.of_which}.items():
            yield Metric(metrics.KERNEL, float(size), (area,))
        yield Metric(metrics.GROWTH, reading.growth.slope)
        yield Metric(metrics.EXHAUSTION, reading.growth.exhaustion(reading.ledger.available))
        for cache in reading.slab_growth or ():
            yield Metric(metrics.SLAB, float((reading.slab or {}).get(cache, 0)), (cache,))
        for one in worth_a_word(reading.holders):
            yield Metric(metrics.HOLDER, float(one["bytes"]), (one["comm"], str(one["pid"])))

    @staticmethod
    def show(readings: Sequence[Reading], _settings: MemorySettings) -> Iterator[Panel]:
        """Show the ledger as a bar, and the holders of the last look."""
        yield from panels.panels(readings[-1])

    def close(self) -> None:
        """End a look that is out, and save what we know."""
        self._blame.close()
        if self._history is not None:
            self._host.slot.save(self._history.plain())

    def _remember(self, now: float, books: Ledger) -> History:
        boot = (text_or_none(f"{self._host.proc}/sys/kernel/random/boot_id") or "").strip()
        history = self._history
        if history is None:
            history = restore(self._host.slot.load(), boot, books, now)
        elif not history.still(boot, books):
            history = begin(boot, books)
        quarter = not history.window.fast or history.window.fast[-1].at // QUARTER != now // QUARTER
        history = history.add(now, books)
        if quarter or self._history is None:
            history = self._mark(history, now)
            self._host.slot.save(history.plain())
        self._history = history
        return history

    def _mark(self, history: History, now: float) -> History:
        """Look at caches and modules, and keep it every few hours."""
        try:
            self._slab, self._slab_problem = slabinfo.unreclaimable(self._host.proc, self._host.sys, PAGE), ""
        except Unavailable as why:
            self._slab, self._slab_problem = (
                None,
                f"{why}; {SLAB_NEEDED}",
            )
        if history.marks and now - history.marks[-1].at < MARK_APART:
            return history
        large = None if self._slab is None else {name: size for name, size in self._slab.items() if size >= WORTH_A_WORD}
        return history.mark(Mark(now, large, modules.loaded(self._host.proc)), MARKS)

    def _growth(self, window: Window, books: Ledger) -> Growth:
        if self._steady[0] is not window.slow:
            plain = trend.plain(window) if len(window.slow) >= BLOCKS else None  # else it is the newest points', and changes with each
            self._steady = (window.slow, trend.steady(window.slow, books.total) or plain)
        return trend.fast(window, books.total, books.available, self._limits.max_extrapolation) or self._steady[1] or trend.plain(window)

    def _suspicious(self, books: Ledger) -> bool:
        """Whether enough was gained since the last look to look again, though nothing is sure yet."""
        if self._looked_at is None or books.held < self._looked_at:
            self._looked_at = books.held
        return books.held - self._looked_at >= min(SUSPICIOUS, books.total // 100)

    def _look(self, now: float, books: Ledger) -> None:
        if self._blame.start(now):
            self._looked_at = books.held
            try:
                self._slab = slabinfo.unreclaimable(self._host.proc, self._host.sys, PAGE)
            except Unavailable:
                self._slab = None  # why, the last mark has said

    def _reading(self, now: float, books: Ledger, history: History, growth: Growth) -> Reading:
        mark = history.before(now - max(growth.span, QUARTER))
        pressed = tuple(sorted(name for name, one in protocols.read(self._host.proc, PAGE).items() if one.pressed)) if growth.sure else ()
        return Reading(
            at=now,
            wall=time.time(),
            ledger=books,
            growth=growth,
            before=history.sizes(now - growth.span),
            window=history.window,
            since=mark.at,
            slab=self._slab,
            slab_growth=self._gained(self._slab, mark.slab),
            slab_problem=self._slab_problem,
            holders=self._found[1] if self._found else None,
            holders_problem=self._blame.problem,
            modules=modules.loaded(self._host.proc) - mark.modules if growth.sure else frozenset(),
            dying_cgroups=cgroup.dying(self._host.sys) if growth.sure else None,
            pressed=pressed,
            processes=self._followed.look(now, books, self._limits.max_extrapolation),
        )


def _boottime() -> float:
    """Give seconds since boot, those asleep included: no change of the wall clock moves it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
