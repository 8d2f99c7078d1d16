"""Kernel memory collector: the ledger, its growth, the holders of what grew, and the time until exhaustion."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from collectors.collector import Collector
from collectors.files import read_boot_id
from collectors.memory import judge, metrics, panels
from collectors.memory.analysis import analyse
from collectors.memory.attribution import SLAB_NEEDED
from collectors.memory.holders.scan import HolderScan
from collectors.memory.ledger_reader import LedgerReader
from collectors.memory.process_trends import ProcessTrends
from collectors.memory.procfs.cgroup import read_dying
from collectors.memory.procfs.net import read_pressed_protocols
from collectors.memory.procfs.slabinfo import read_unreclaimable
from collectors.memory.procfs.small_files import read_modules
from collectors.memory.reading import MemoryReading
from collectors.memory.settings import MemorySettings
from collectors.memory.trend.history import KernelSnapshot, SavedHistory, new_history, restore
from collectors.memory.trend.window import QUARTER
from collectors.memory.units import NOTABLE_BYTES
from collectors.model import Mode, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.memory.ledger import Ledger
    from collectors.memory.reading import Holders
    from collectors.memory.trend.history import LedgerHistory
    from collectors.model import CollectorContext, Metric, Verdict
    from collectors.panel import Panel
    from collectors.settings import Settings

PAGE = os.sysconf("SC_PAGE_SIZE")
SNAPSHOT_INTERVAL = 21_600.0  # seconds
SUSPICIOUS = 256 << 20  # bytes, or 1 % of MemTotal if that is less: a gain since the last scan that starts another
HOLDERS_MAX_AGE = 3600.0  # seconds for which a scan's answer is part of readings
CHECK_SECONDS = 15.0  # how long `vitald check` waits for a scan


class KernelMemory(Collector[MemoryReading]):
    """Reads the ledger; `follow_up()` starts a holder scan where unreclaimable memory grows, and in `Mode.CHECK` always."""

    name = "memory"
    checks = ("memory_kernel", "memory_process")
    needs_history = {"memory_kernel": "growth", "memory_process": "growth"}  # noqa: RUF012 — never modified
    history_only = frozenset({"memory_process"})
    Settings: ClassVar[type[Settings]] = MemorySettings

    def __init__(self, settings: MemorySettings, context: CollectorContext) -> None:
        self._settings, self._context = settings, context
        self._ledger_reader = LedgerReader(context.proc, context.sys, PAGE)
        self._scan = HolderScan(context.proc, hurry=context.mode is Mode.CHECK, recorded=context.is_recorded)
        self._process_trends = ProcessTrends(context.proc, PAGE)
        self._history: LedgerHistory | None = None
        self._scan_baseline: int | None = None  # unreclaimable bytes at the last scan, or the lowest since
        self._holders: tuple[float, Holders] | None = None
        self._slab: Mapping[str, int] | None = None
        self._slab_error = ""
        self.clock = _boottime  # seconds; tests advance it

    def read(self) -> MemoryReading:
        """Read the ledger and fetch the answer of a scan; each quarter of an hour also read slab caches and save the history."""
        now = self.clock()
        ledger = self._ledger_reader.read()
        history = self._update_history(now, ledger)
        self._store_holders(now, self._scan.poll(now))
        return self._with_newest(MemoryReading(now, time.time(), ledger, history, self._process_trends.read(now, ledger)))

    @staticmethod
    def judge(readings: Sequence[MemoryReading], settings: MemorySettings) -> Iterator[Verdict]:
        """Return one verdict on the kernel's memory and one on the processes'."""
        analysis = analyse(readings[-1], settings)
        yield judge.judge_kernel(analysis, settings)
        yield judge.judge_processes(analysis, settings)

    @staticmethod
    def measure(reading: MemoryReading, settings: MemorySettings) -> Iterator[Metric]:
        """Return the ledger, its trend, and the holders of the newest scan."""
        return metrics.measure(analyse(reading, settings))

    @staticmethod
    def show(readings: Sequence[MemoryReading], settings: MemorySettings) -> Iterator[Panel]:
        """Return the ledger as a bar, and the holders of the newest scan."""
        return panels.panels(analyse(readings[-1], settings))

    def follow_up(self, reading: MemoryReading, verdicts: Sequence[Verdict]) -> MemoryReading | None:  # noqa: ARG002 — the analysis behind them
        """Read the evidence of a leak, and start a holder scan for a leak or a suspicious gain; in `Mode.CHECK` always, and wait."""
        proc, is_check, completed = self._context.proc, self._context.mode is Mode.CHECK, reading
        if is_leak := analyse(reading, self._settings).growth.is_leak:
            modules, dying = read_modules(proc), read_dying(self._context.sys)
            completed = replace(reading, modules=modules, dying_cgroups=dying, pressed_protocols=read_pressed_protocols(proc))
        if (is_leak or self._is_suspicious(reading.ledger) or is_check) and self._scan.start(reading.at):
            self._scan_baseline = reading.ledger.unreclaimable
            self._read_slab()
            if is_check:
                self._store_holders(reading.at, self._scan.wait(CHECK_SECONDS))
            completed = self._with_newest(completed)
        return None if completed is reading else completed

    def close(self) -> None:
        """End a running scan, and save the history."""
        self._scan.close()
        if self._history is not None:
            self._context.slot.save(self._history.saved())

    def _with_newest(self, reading: MemoryReading) -> MemoryReading:
        """Return the reading with the newest slab caches and holders."""
        holders = self._holders[1] if self._holders else None
        return replace(reading, slab=self._slab, slab_error=self._slab_error, holders=holders, holders_error=self._scan.error)

    def _update_history(self, now: float, ledger: Ledger) -> LedgerHistory:
        boot = read_boot_id(self._context.proc)
        if (history := self._history) is None:
            history, rejected = restore(self._context.slot.load(SavedHistory), boot, ledger, now)
            if rejected:
                self._context.slot.reject(rejected, "points of an impossible time")
        elif not history.is_comparable(boot, ledger):
            history = new_history(boot, ledger)
        is_new_quarter = not history.window.fast or history.window.fast[-1].at // QUARTER != now // QUARTER
        history = history.add(now, ledger)
        if is_new_quarter or self._history is None:
            self._read_slab()
            if not history.snapshots or now - history.snapshots[-1].at >= SNAPSHOT_INTERVAL:
                history = history.add_snapshot(self._snapshot(now))
            self._context.slot.save(history.saved())
        self._history = history
        return history

    def _snapshot(self, now: float) -> KernelSnapshot:
        caches = (self._slab or {}).items()
        large = {sys.intern(name): size for name, size in caches if size >= NOTABLE_BYTES}  # each name is in the snapshots of days
        return KernelSnapshot(now, None if self._slab is None else large, read_modules(self._context.proc))

    def _read_slab(self) -> None:
        try:
            self._slab, self._slab_error = read_unreclaimable(self._context.proc, self._context.sys, PAGE), ""
        except Unavailable as error:
            self._slab, self._slab_error = None, f"{error}; {SLAB_NEEDED}" if error.reason == "permission" else str(error)

    def _is_suspicious(self, ledger: Ledger) -> bool:
        """Return whether enough was gained since the last scan for another one, though no leak is detected yet."""
        if self._scan_baseline is None or ledger.unreclaimable < self._scan_baseline:
            self._scan_baseline = ledger.unreclaimable
        return ledger.unreclaimable - self._scan_baseline >= min(SUSPICIOUS, ledger.total // 100)

    def _store_holders(self, now: float, found: Holders | None) -> None:
        if found is not None:
            self._holders = (now, found)
        elif self._holders and now - self._holders[0] > HOLDERS_MAX_AGE:
            self._holders = None


def _boottime() -> float:
    """Return seconds since boot, suspend included: no change of the wall clock moves it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
