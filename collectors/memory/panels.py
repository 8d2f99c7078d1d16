"""Panels of `[memory]`: the ledger as a bar, and the holders of unreclaimable memory. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.memory.attribution import describe_process, describe_sockets
from collectors.memory.evidence import not_visible, notable_holders
from collectors.memory.ledger import FREE, OF_WHICH, RECLAIMABLE, SET_ASIDE, UNRECLAIMABLE, USER
from collectors.memory.units import MINUTE, duration, rate, size
from collectors.panel import Panel, Share, Sparkline
from collectors.text import printable, utc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.memory.analysis import MemoryAnalysis

GROUPS = (
    ("processes and files", USER),
    ("kernel, unreclaimable", UNRECLAIMABLE),
    ("set aside", SET_ASIDE),
    ("reclaimable", RECLAIMABLE),
    ("free", FREE),
)
LEAST = 0.001  # of the total: smaller areas are not listed, except unreclaimable ones
LEAST_UNRECLAIMABLE = 1 << 20  # bytes
DAY = 96  # quarters of an hour


def panels(analysis: MemoryAnalysis) -> Iterator[Panel]:
    """Return the ledger, and the holders if there was a scan."""
    reading = analysis.reading
    yield _ledger(analysis)
    if reading.holders is not None or analysis.slab_growth:
        yield _holders(analysis)
    if private := (reading.holders or {}).get("own"):
        yield Panel("private memory of the largest processes", ("process", "state", "size"), tuple(map(_private, private)))


def _ledger(analysis: MemoryAnalysis) -> Panel:
    ledger, growth = analysis.reading.ledger, analysis.growth
    shares = []
    for name, members in GROUPS:
        least = LEAST_UNRECLAIMABLE if members is UNRECLAIMABLE else ledger.total * LEAST
        sizes = sorted(((area, ledger.areas.get(area, 0)) for area in members), key=lambda item: -item[1])
        parts = tuple(f"{area} {size(number)}" for area, number in sizes if number >= least) if len(members) > 1 else ()
        whole = sum(number for _, number in sizes)
        shares.append(Share(name, float(whole), size(whole), parts))
    overlap = [f"{name} {size(ledger.of_which[name])}" for name in OF_WHICH if ledger.of_which.get(name, 0) >= LEAST_UNRECLAIMABLE]
    pace = f"grows by {rate(growth.slope)}; at that pace {duration(growth.exhaustion(ledger.available))} are left"
    if not growth.is_leak:
        pace = f"no leak detected in {duration(growth.span)}" if growth.span else "growth is not known from one look: vitald status"
    notes = [
        f"unreclaimable memory of the kernel: {pace}",
        f"inside the areas above, overlapping them: {', '.join(overlap)}" if overlap else "",
    ]
    day = tuple(float(point.size) for point in analysis.reading.history.window.slow[-DAY:])
    trace = (("kernel, unreclaimable, a day", Sparkline(day, f"now {size(ledger.unreclaimable)}, most {size(max(day))}")),) if day else ()
    title = f"memory: {size(ledger.available)} of {size(ledger.total)} available"
    return Panel(title, ("", "") if trace else (), trace, tuple(shares), tuple(filter(None, notes)))


def _holders(analysis: MemoryAnalysis) -> Panel:
    reading = analysis.reading
    answer = reading.holders or {}
    rows = [
        (describe_process(holder), "socket buffers: " + describe_sockets(holder), size(holder["bytes"]))
        for holder in notable_holders(reading.holders)
    ]
    for kind, words in (("page_tables", "page tables"), ("threads", "threads"), ("pipes", "ends of pipes"), ("files", "open")):
        rows += [
            (
                describe_process(row),
                f"{words} {printable(row.get('kind', ''))}".strip(),
                size(row["size"]) if kind == "page_tables" else str(row["size"]),
            )
            for row in answer.get(kind, ())[:3]
        ]
    caches = analysis.slab_growth or {}
    rows += [("kernel", f"slab cache {printable(name)}", f"{size(gain)} more") for name, gain in list(caches.items())[:3]]
    if not caches:
        largest = sorted((reading.slab or {}).items(), key=lambda item: -item[1])[:3]
        rows += [("kernel", f"slab cache {printable(name)}", size(number)) for name, number in largest]
    notes = (
        f"not readable: {unseen}" if (unseen := not_visible(answer)) else "",
        f"left out: {', '.join(answer['truncated'])}" if answer.get("truncated") else "",
        reading.slab_error,
        reading.holders_error,
    )
    return Panel("holders of unreclaimable memory", ("holder", "memory", "size"), tuple(rows), notes=tuple(filter(None, notes)))


def _private(row: Mapping[str, Any]) -> tuple[str, str, str]:
    since = f"running since {utc(row['began'], MINUTE)}" if row["began"] else ""
    return describe_process(row), since + (f"; {size(row['swapped'])} more in swap" if row["swapped"] else ""), size(row["size"])
