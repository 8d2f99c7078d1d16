"""The ledger as a bar that people read at a glance, and who holds what. Pure: a reading in, panels out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.memory.attribution import NEEDED, owner, sockets_of
from collectors.memory.evidence import worth_a_word
from collectors.memory.ledger import FREE, HELD, OF_WHICH, RECLAIMABLE, SET_ASIDE, USER
from collectors.memory.units import clean, duration, hour, rate, size
from collectors.panel import Panel, Share, Sparkline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.memory.reading import Reading

GROUPS = (
    ("processes and files", USER),
    ("held by the kernel", HELD),
    ("set aside", SET_ASIDE),
    ("reclaimable", RECLAIMABLE),
    ("free", FREE),
)
LEAST = 0.001  # of the total: smaller areas are not spelt out, but for the kernel's
LEAST_HELD = 1 << 20  # bytes
DAY = 96  # quarters of an hour


def panels(reading: Reading) -> Iterator[Panel]:
    """Give the ledger, and the holders if they were looked for."""
    yield _ledger(reading)
    if reading.holders is not None or reading.slab_growth:
        yield _holders(reading)
    if own := (reading.holders or {}).get("own"):
        yield Panel("the largest processes' own memory", ("who", "what", "how much"), tuple(map(_own, own)))


def _ledger(reading: Reading) -> Panel:
    ledger, growth = reading.ledger, reading.growth
    shares = []
    for name, members in GROUPS:
        least = LEAST_HELD if members is HELD else ledger.total * LEAST
        sizes = sorted(((area, ledger.areas.get(area, 0)) for area in members), key=lambda item: -item[1])
        inside = tuple(f"{area} {size(number)}" for area, number in sizes if number >= least) if len(members) > 1 else ()
        whole = sum(number for _, number in sizes)
        shares.append(Share(name, float(whole), size(whole), inside))
    overlap = [f"{name} {size(ledger.of_which[name])}" for name in OF_WHICH if ledger.of_which.get(name, 0) >= LEAST_HELD]
    pace = f"grows by {rate(growth.slope)}; at that pace {duration(growth.exhaustion(ledger.available))} are left"
    notes = [
        "what the kernel holds " + (pace if growth.sure else "does not surely grow"),
        f"inside the areas above, overlapping them: {', '.join(overlap)}" if overlap else "",
    ]
    held = tuple(float(point.held) for point in reading.window.slow[-DAY:])
    rows = (("held by the kernel, a day", Sparkline(held, f"now {size(ledger.held)}, most {size(max(held))}")),) if held else ()
    title = f"memory: {size(ledger.available)} of {size(ledger.total)} available"
    return Panel(title, ("", "") if rows else (), rows, tuple(shares), tuple(filter(None, notes)))


def _holders(reading: Reading) -> Panel:
    found = reading.holders or {}
    rows = [(owner(one), "socket buffers: " + sockets_of(one), size(one["bytes"])) for one in worth_a_word(reading.holders)]
    for kind, words in (("page_tables", "page tables"), ("threads", "threads"), ("pipes", "ends of pipes"), ("files", "open")):
        rows += [(owner(one), f"{words} {clean(one.get('kind', ''))}".strip(), _amount(kind, one)) for one in found.get(kind, ())[:3]]
    caches = reading.slab_growth or {}
    rows += [("kernel", f"slab cache {clean(name)}", f"{size(gain)} more") for name, gain in list(caches.items())[:3]]
    if not caches:
        largest = sorted((reading.slab or {}).items(), key=lambda item: -item[1])[:3]
        rows += [("kernel", f"slab cache {clean(name)}", size(number)) for name, number in largest]
    notes = (
        f"not seen: the files of {found['hidden']} processes; {NEEDED}" if found.get("hidden") else "",
        f"left out: {', '.join(found['truncated'])}" if found.get("truncated") else "",
        reading.slab_problem,
        reading.holders_problem,
    )
    return Panel("who holds what the kernel cannot give back", ("who", "what", "how much"), tuple(rows), notes=tuple(filter(None, notes)))


def _own(one: Mapping[str, Any]) -> tuple[str, str, str]:
    """Say of a process' own memory, which is no leak of the kernel's, since when it runs and how much more of it is in the swap."""
    since = f"runs since {hour(one['began'])}" if one["began"] else ""
    return owner(one), since + (f"; {size(one['swapped'])} more in the swap" if one["swapped"] else ""), size(one["size"])


def _amount(kind: str, one: Mapping[str, Any]) -> str:
    return size(one["size"]) if kind == "page_tables" else f"{one['size']}"
