"""What a reading means: `memory_kernel` and `memory_process`. Pure."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from collectors.memory.attribution import culprit, grown
from collectors.memory.evidence import evidence
from collectors.memory.units import clean, duration, hour, rate, size
from collectors.model import Level, Verdict

if TYPE_CHECKING:
    from collectors.memory.reading import Own, Reading
    from collectors.memory.settings import MemorySettings

MEND = {
    "unaccounted": "look at who holds socket buffers (ss -tmp), then at drivers and modules; drain and recycle the host before that hour",
    "slab_unreclaimable": "slabtop -s c shows the cache; stop who opens the objects, or report the kernel; recycle before that hour",
    "page_tables": "restart the process, or give it huge pages; many processes mapping one large file want fewer processes",
    "kernel_stack": "restart the process that has the threads, and bound its pool",
}
RECYCLE = "drain and recycle the host before that hour"
LOOK = "free memory is nearly gone: stop or restart the largest process, or recycle the host"


def kernel(reading: Reading, limits: MemorySettings) -> Verdict:
    """Judge what no process owns."""
    growth, ledger = reading.growth, reading.ledger
    left = growth.exhaustion(ledger.available)
    nearly_gone = ledger.available < ledger.total * limits.available_percent / 100
    gains = grown(reading)
    area = next(iter(gains), "none")
    level, message, remediation = Level.HEALTHY, "", ""
    if growth.sure:
        who = culprit(reading)
        end = f"{size(ledger.available)} are left, for {duration(left)}, until {hour(reading.wall + left)}"
        message = f"{area} grows by {rate(growth.slope)}; {end}" + (f"; {who}" if who else "")
        level = Level.CRITICAL if left <= limits.critical_within else Level.WARNING if left <= limits.warn_within else Level.HEALTHY
        remediation = MEND.get(area, RECYCLE)
    if nearly_gone:
        level, remediation = Level.CRITICAL, remediation or LOOK
        message = "; ".join(filter(None, [f"{size(ledger.available)} of {size(ledger.total)} are left{_most(reading)}", message]))
    return Verdict("memory_kernel", "host", level, message, evidence(reading, left), remediation if level else "")


def process(reading: Reading, limits: MemorySettings) -> Verdict:
    """Judge the largest processes' own memory: an ordinary leak, which no kernel is to blame for."""
    worst = max((own for own in reading.processes if own.growth.sure), key=lambda own: own.growth.slope, default=None)
    facts = {"largest": ", ".join(f"{_name(own)} {size(own.process.own)}" for own in reading.processes)}
    if worst is None:
        return Verdict("memory_process", "processes", Level.HEALTHY, "", facts)
    left = worst.growth.exhaustion(reading.ledger.available)
    facts |= {"exhaustion_seconds": str(round(left))} if isfinite(left) else {}
    level = Level.CRITICAL if left <= limits.critical_within else Level.WARNING if left <= limits.warn_within else Level.HEALTHY
    message = (
        f"{_name(worst)} grows by {rate(worst.growth.slope)} and has {size(worst.process.own)} of its own; "
        f"{size(reading.ledger.available)} are left, for {duration(left)}, until {hour(reading.wall + left)}"
    )
    remediation = "restart it before then, and bound its memory (MemoryMax= in its unit)" if level else ""
    return Verdict("memory_process", "processes", level, message, facts, remediation)


def _most(reading: Reading) -> str:
    area, most = max(((a, n) for a, n in reading.ledger.areas.items() if a != "free"), key=lambda item: item[1], default=("", 0))
    return f"; most is {area} ({size(most)})" if most else ""


def _name(own: Own) -> str:
    return f"{clean(own.process.comm)} pid {own.process.pid}"
