"""The ledger as a bar that people read at a glance, its course, and the holders. Pure: a reading in, a panel out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.evidence import OF_HOLDERS, evidence
from collectors.memory.ledger import FREE, HELD, RECLAIMABLE, SET_ASIDE, USER
from collectors.memory.words import clean, duration, rate, size
from collectors.panel import Panel, Share, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.memory.reading import Reading

GROUPS = (
    ("user", USER),
    ("held by the kernel", HELD),
    ("set aside", SET_ASIDE),
    ("reclaimable", RECLAIMABLE),
    ("free", FREE),
)
LEAST = 0.005  # of the total: smaller areas are not spelt out
MOST_POINTS = 120  # of a small chart


def ledger(reading: Reading) -> Panel:
    """Give the bar with the areas in it, the course of what the kernel holds, the facts that overlap areas, and who holds what."""
    areas, total = reading.ledger.areas, reading.ledger.total
    shares = tuple(Share(name, _sum(areas, members), size(_sum(areas, members)), _spelt(areas, members, total)) for name, members in GROUPS)
    overlap = [f"{name} {size(number)}" for name, number in reading.ledger.of_which.items() if number >= total * LEAST]
    facts = evidence(reading, reading.growth.exhaustion(reading.ledger.available))
    holders = [_note(key, clean_line(str(text))) for key, text in facts.items() if key.startswith(OF_HOLDERS)]
    notes = (*([f"of which, within these: {', '.join(overlap)}"] if overlap else []), *holders)
    return Panel(f"Memory, {size(total)}", ("held by the kernel", "from", "to", "course"), tuple(_courses(reading)), shares, notes)


def _sum(areas: Mapping[str, int], members: tuple[str, ...]) -> int:
    return max(0, sum(areas.get(area, 0) for area in members))


def _spelt(areas: Mapping[str, int], members: tuple[str, ...], total: int) -> tuple[str, ...]:
    known = sorted(((area, areas.get(area, 0)) for area in members), key=lambda item: -item[1])
    return tuple(f"{area} {size(number)}" for area, number in known if number >= total * LEAST) if len(members) > 1 else ()


def _note(key: str, text: str) -> str:
    return text if key.startswith("holder_") else f"{key.replace('_', ' ')}: {text}"


def _courses(reading: Reading) -> Iterator[tuple[str | Trace, ...]]:
    window = reading.window
    for points in (window.fast, window.slow):
        if len(points) > 1:
            span = duration(points[-1].at - points[0].at)
            values = [float(point.held) for point in points]
            thin = values[:: -(-len(values) // MOST_POINTS)]
            trace = Trace(tuple(thin), f"what the kernel holds, over {span}; now growing by {rate(reading.growth.slope)}")
            yield f"over {span}", size(values[0]), size(values[-1]), trace


def clean_line(text: str) -> str:
    """Keep a line one line, whatever a process calls itself."""
    return " ".join(clean(word) for word in text.split())
