"""Evidence of `memory_kernel`: the ledger, what grew, the largest holders, and what was not readable. Pure."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from collectors.memory.attribution import NEEDED, describe_holder, describe_process, growth_by_area
from collectors.memory.units import NOTABLE_BYTES, size
from collectors.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.memory.analysis import MemoryAnalysis

FEW = 3
HIDEPID_NEEDED = "CAP_SYS_PTRACE (share/holders.conf, a drop-in for the unit) or the mount option gid= would show them"
KINDS = {"own": "", "page_tables": "", "threads": "", "pipes": " ends", "files": ""}  # of the scan's answer, with the unit of `size`


def evidence(analysis: MemoryAnalysis, left: float) -> dict[str, Any]:
    """Return the facts by name; `left` is seconds until exhaustion."""
    reading, growth, ledger = analysis.reading, analysis.growth, analysis.reading.ledger
    facts: dict[str, Any] = {
        "total_bytes": ledger.total,
        "available_bytes": ledger.available,
        "unreclaimable_bytes": ledger.unreclaimable,
        "growth_bytes_per_second": round(growth.slope, 1),
        "leak_detected_by": growth.method or "none",
    }
    facts |= {"exhaustion_seconds": round(left)} if isfinite(left) else {}  # JSON has no infinity
    facts |= {f"grown_{area}_bytes": gain for area, gain in list(growth_by_area(analysis).items())[:FEW] if gain >= NOTABLE_BYTES}
    facts |= {f"slab_{printable(cache)}_gained_bytes": gain for cache, gain in list((analysis.slab_growth or {}).items())[:FEW]}
    facts |= _holders(reading.holders) if reading.holders else {}
    if reading.holders and reading.slab:
        largest = sorted(reading.slab.items(), key=lambda item: -item[1])[:FEW]
        facts["most_slab"] = ", ".join(f"{printable(cache)} {size(number)}" for cache, number in largest)
    notes = (
        ("slabinfo", reading.slab_error),
        ("holders", reading.holders_error),
        ("protocols_under_pressure", ", ".join(reading.pressed_protocols)),
    )
    return facts | {name: note for name, note in notes if note}


def notable_holders(answer: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Return the holders of a megabyte or more of socket buffers."""
    return [holder for holder in (answer or {}).get("holders", ()) if holder["bytes"] >= NOTABLE_BYTES]


def not_visible(answer: Mapping[str, Any]) -> str:
    """Describe what the scan could not see of processes and their files; empty where it saw all."""
    reasons = (
        "all processes: none is visible in /proc" if answer.get("processes") == 0 else "",
        f"the processes of other users: /proc is mounted with hidepid=; {HIDEPID_NEEDED}" if answer.get("hidepid") else "",
        f"the files of {answer['hidden']} processes; {NEEDED}" if answer.get("hidden") else "",
    )
    return "; ".join(filter(None, reasons))


def _holders(answer: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {f"holder_{i}": describe_holder(holder) for i, holder in enumerate(notable_holders(answer), 1)}
    for kind, unit in KINDS.items():
        if most := answer.get(kind, ())[:FEW]:
            numbers = (
                size(row["size"]) if kind in {"own", "page_tables"} else f"{row['size']}{unit} {printable(row.get('kind', ''))}"
                for row in most
            )
            facts[f"most_{kind}"] = ", ".join(f"{describe_process(row)} {text.strip()}" for row, text in zip(most, numbers, strict=True))
    if unseen := not_visible(answer):
        facts["hidden"] = unseen
    if answer["truncated"]:
        facts["left_out"] = ", ".join(answer["truncated"])
    return facts
