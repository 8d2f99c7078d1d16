"""What a reading means: `memory_kernel` and `memory_process`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.memory.culprit import culprit, grown, holder
from collectors.memory.words import clean, duration, hour, rate, size
from collectors.model import Level, Verdict

if TYPE_CHECKING:
    from collectors.memory.collector import MemorySettings
    from collectors.memory.reading import Own, Reading

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
    level, message, mend = Level.HEALTHY, "", ""
    if growth.sure:
        who = culprit(reading)
        end = f"{size(ledger.available)} are left, for {duration(left)}, until {hour(reading.wall + left)}"
        message = f"{area} grows by {rate(growth.slope)}; {end}" + (f"; {who}" if who else "")
        level = Level.CRITICAL if left <= limits.critical_within else Level.WARNING if left <= limits.warn_within else Level.HEALTHY
        mend = MEND.get(area, RECYCLE)
    if nearly_gone:
        level, mend = Level.CRITICAL, mend or LOOK
        message = "; ".join(filter(None, [f"{size(ledger.available)} of {size(ledger.total)} are left{_most(reading)}", message]))
    return Verdict("memory_kernel", "host", level, message, _evidence(reading, left), mend if level else "")


def process(reading: Reading, limits: MemorySettings) -> Verdict:
    """Judge the largest processes' own memory: an ordinary leak, which no kernel is to blame for."""
    worst = max((own for own in reading.processes if own.growth.sure), key=lambda own: own.growth.slope, default=None)
    evidence = {"largest": ", ".join(f"{_name(own)} {size(own.process.own)}" for own in reading.processes)}
    if worst is None:
        return Verdict("memory_process", "processes", Level.HEALTHY, "", evidence)
    left = worst.growth.exhaustion(reading.ledger.available)
    level = Level.CRITICAL if left <= limits.critical_within else Level.WARNING if left <= limits.warn_within else Level.HEALTHY
    message = (
        f"{_name(worst)} grows by {rate(worst.growth.slope)} and has {size(worst.process.own)} of its own; "
        f"{size(reading.ledger.available)} are left, for {duration(left)}, until {hour(reading.wall + left)}"
    )
    mend = "restart it before then, and bound its memory (MemoryMax= in its unit)" if level else ""
    return Verdict("memory_process", "processes", level, message, evidence | {"exhaustion_seconds": left}, mend)


def _evidence(reading: Reading, left: float) -> dict[str, Any]:
    growth, ledger = reading.growth, reading.ledger
    facts: dict[str, Any] = {
        "total_bytes": ledger.total,
        "available_bytes": ledger.available,
        "held_bytes": ledger.held,
        "growth_bytes_per_second": round(growth.slope, 1),
        "sure": growth.how or "no",
        "exhaustion_seconds": left,
    }
    facts |= {f"grown_{area}_bytes": gain for area, gain in list(grown(reading).items())[:3] if gain >= 1 << 20}
    if reading.holders:
        facts |= {f"holder_{i}": holder(one) for i, one in enumerate(reading.holders["holders"], 1) if one["bytes"] >= 1 << 20}
        facts |= {"left_out": ", ".join(reading.holders["truncated"])} if reading.holders["truncated"] else {}
        facts |= {"hidden_processes": reading.holders["hidden"]} if reading.holders["hidden"] else {}
    for cache, gain in list((reading.slab_growth or {}).items())[:3]:
        facts[f"slab_{clean(cache)}_gained_bytes"] = gain
    notes = (
        ("slabinfo", reading.slab_problem),
        ("holders", reading.holders_problem),
        ("protocols under pressure", ", ".join(reading.pressed)),
    )
    return facts | {name: note for name, note in notes if note}


def _most(reading: Reading) -> str:
    area, most = max(((a, n) for a, n in reading.ledger.areas.items() if a != "free"), key=lambda item: item[1], default=("", 0))
    return f"; most is {area} ({size(most)})" if most else ""


def _name(own: Own) -> str:
    return f"{clean(own.process.comm)} pid {own.process.pid}"
