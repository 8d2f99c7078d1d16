"""Verdicts `memory_kernel` and `memory_process`. Pure."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from collectors.memory.attribution import attribute, growth_by_area
from collectors.memory.evidence import HIDEPID_NEEDED, evidence
from collectors.memory.units import MINUTE, duration, rate, size
from collectors.model import Level, Verdict
from collectors.text import printable, utc

if TYPE_CHECKING:
    from collectors.memory.analysis import MemoryAnalysis
    from collectors.memory.process_trends import ProcessGrowth
    from collectors.memory.settings import MemorySettings

REMEDIATIONS = {  # the command first, as root; tests/collectors/memory/test_remediations.py runs each
    "unaccounted": "ss -tuxpm; find the process whose skmem has a large r (it does not read) or w (its peer does not), else suspect "
    "drivers and modules; recycle the host before that hour",
    "slab_unreclaimable": "slabtop -o -s c | head -n 20; stop the process that opens the objects of the cache that grew, or report a bug; "
    "recycle the host before that hour",
    "page_tables": "grep VmPTE /proc/[0-9]*/status | sort -k 2 -n | tail; restart the process with most, or give it huge pages; many "
    "processes that map one large file need fewer processes",
    "kernel_stack": "ps -eo nlwp,pid,comm --sort=-nlwp | head; restart the process that has the threads, and limit its pool",
}
RECYCLE = "drain and recycle the host before that hour"
RESTART = "ps -o pid,unit,rss,etime,args -p {}; restart that unit before then, and limit it (MemoryMax= in a drop-in)"
NOT_VISIBLE = "other users' processes are not visible in /proc (is it mounted with hidepid=?)"
HIDEPID_REMEDIATION = f"findmnt -o OPTIONS /proc; {HIDEPID_NEEDED}"
NEARLY_EXHAUSTED = "ps -eo rss,pid,comm --sort=-rss | head; stop or restart the largest process, or recycle the host"


def judge_kernel(analysis: MemoryAnalysis, settings: MemorySettings) -> Verdict:
    """Judge the memory that no process owns."""
    growth, ledger = analysis.growth, analysis.reading.ledger
    left = growth.exhaustion(ledger.available)
    is_nearly_exhausted = ledger.available < ledger.total * settings.available_percent / 100
    level, message, remediation = Level.HEALTHY, "", ""
    if growth.is_leak:
        area, cause = next(iter(growth_by_area(analysis)), "unreclaimable memory"), attribute(analysis)
        message = f"{area} grows by {rate(growth.slope)}; {_end(analysis, left)}" + (f"; {cause}" if cause else "")
        level = _level(left, settings)
        remediation = REMEDIATIONS.get(area, RECYCLE)
    if is_nearly_exhausted:
        level, remediation = Level.CRITICAL, remediation or NEARLY_EXHAUSTED
        message = "; ".join(filter(None, [f"{size(ledger.available)} of {size(ledger.total)} are left{_largest_area(analysis)}", message]))
    return Verdict("memory_kernel", "host", level, message, evidence(analysis, left), remediation if level else "")


def judge_processes(analysis: MemoryAnalysis, settings: MemorySettings) -> Verdict:
    """Judge the largest processes' private memory: an ordinary leak, which is not the kernel's."""
    worst = max((p for p in analysis.processes if p.growth.is_leak), key=lambda p: p.growth.slope, default=None)
    largest = ", ".join(f"{_name(p)} {size(p.process.private)}" for p in analysis.processes)
    facts = {"largest": largest} if largest else {}
    if worst is None and not analysis.reading.processes.complete:
        return Verdict("memory_process", "processes", Level.UNKNOWN, NOT_VISIBLE, facts, HIDEPID_REMEDIATION)
    if worst is None:
        return Verdict("memory_process", "processes", Level.HEALTHY, "", facts)
    left = worst.growth.exhaustion(analysis.reading.ledger.available)
    facts |= {"exhaustion_seconds": str(round(left))} if isfinite(left) else {}
    level = _level(left, settings)
    private = size(worst.process.private)
    message = f"{_name(worst)} grows by {rate(worst.growth.slope)} and has {private} of private memory; {_end(analysis, left)}"
    remediation = RESTART.format(worst.process.pid) if level else ""
    return Verdict("memory_process", "processes", level, message, facts, remediation)


def _level(left: float, settings: MemorySettings) -> Level:
    return Level.CRITICAL if left <= settings.critical_within else Level.WARNING if left <= settings.warn_within else Level.HEALTHY


def _end(analysis: MemoryAnalysis, left: float) -> str:
    available = size(analysis.reading.ledger.available)
    return f"{available} are left, for {duration(left)}, until {utc(analysis.reading.wall + left, MINUTE)}"


def _largest_area(analysis: MemoryAnalysis) -> str:
    areas = ((area, number) for area, number in analysis.reading.ledger.areas.items() if area != "free")
    area, most = max(areas, key=lambda item: item[1], default=("", 0))
    return f"; largest area {area} ({size(most)})" if most else ""


def _name(found: ProcessGrowth) -> str:
    return f"{printable(found.process.comm)} pid {found.process.pid}"
