"""The facts behind `memory_kernel`, by name: the ledger's ends, what grew, who holds what, and what we could not see. Pure."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from collectors.memory.attribution import NEEDED, grown, holder, owner
from collectors.memory.units import WORTH_A_WORD, clean, size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.memory.reading import Reading

FEW = 3
KINDS = {"own": "", "page_tables": "", "threads": "", "pipes": " ends", "files": ""}  # of the look's answer


def evidence(reading: Reading, left: float) -> dict[str, Any]:
    """Give them; `left` is seconds until the end."""
    growth, ledger = reading.growth, reading.ledger
    facts: dict[str, Any] = {
        "total_bytes": ledger.total,
        "available_bytes": ledger.available,
        "held_bytes": ledger.held,
        "growth_bytes_per_second": round(growth.slope, 1),
        "sure": growth.how or "no",
    }
    facts |= {"exhaustion_seconds": round(left)} if isfinite(left) else {}  # JSON has no infinity
    facts |= {f"grown_{area}_bytes": gain for area, gain in list(grown(reading).items())[:FEW] if gain >= WORTH_A_WORD}
    facts |= {f"slab_{clean(cache)}_gained_bytes": gain for cache, gain in list((reading.slab_growth or {}).items())[:FEW]}
    facts |= _holders(reading.holders) if reading.holders else {}
    if reading.holders and reading.slab:
        largest = sorted(reading.slab.items(), key=lambda item: -item[1])[:FEW]
        facts["most_slab"] = ", ".join(f"{clean(cache)} {size(number)}" for cache, number in largest)
    notes = (
        ("slabinfo", reading.slab_problem),
        ("holders", reading.holders_problem),
        ("protocols_under_pressure", ", ".join(reading.pressed)),
    )
    return facts | {name: note for name, note in notes if note}


def worth_a_word(found: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Give the holders of socket buffers that hold a megabyte or more."""
    return [one for one in (found or {}).get("holders", ()) if one["bytes"] >= WORTH_A_WORD]


def _holders(found: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {f"holder_{i}": holder(one) for i, one in enumerate(worth_a_word(found), 1)}
    for kind, unit in KINDS.items():
        if most := found.get(kind, ())[:FEW]:
            numbers = (
                size(one["size"]) if kind in {"own", "page_tables"} else f"{one['size']}{unit} {clean(one.get('kind', ''))}" for one in most
            )
            facts[f"most_{kind}"] = ", ".join(f"{owner(one)} {number.strip()}" for one, number in zip(most, numbers, strict=True))
    if found["hidden"]:
        facts["hidden"] = f"the files of {found['hidden']} processes; {NEEDED}"
    if found["truncated"]:
        facts["left_out"] = ", ".join(found["truncated"])
    return facts
