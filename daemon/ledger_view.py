"""The memory ledger as a bar that people read at a glance, for `vitald check`. Pure: a report in, lines out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.evidence import OF_HOLDERS
from collectors.memory.ledger import AREAS, FREE, HELD, RECLAIMABLE, SET_ASIDE, USER
from collectors.memory.metrics import KERNEL
from collectors.memory.words import clean, size

if TYPE_CHECKING:
    from collectors.model import Report

SIGNS = (
    ("user", "#", USER),
    ("held by the kernel", "K", HELD),
    ("set aside", "=", SET_ASIDE),
    ("reclaimable", "-", RECLAIMABLE),
    ("free", ".", FREE),
)
LEAST = 0.005  # of the total: smaller areas are not spelt out


def lines(report: Report, width: int = 80) -> list[str]:
    """Give the bar, its legend, the areas worth a word, the facts that overlap them, and the holders. Nothing where there is no ledger."""
    sizes = {m.labels[0]: int(m.value) for m in report.metrics if m.family is KERNEL and isinstance(m.value, float)}
    areas = {area: sizes[area] for area in AREAS if area in sizes}
    total = sum(areas.values())
    if not total:
        return []
    groups = [(name, sign, sum(areas.get(area, 0) for area in members)) for name, sign, members in SIGNS]
    shown = sorted(((area, n) for area, n in areas.items() if n >= total * LEAST and area not in FREE), key=lambda item: -item[1])
    found = [
        f"memory {size(total)}",
        "[" + bar([(sign, n) for _, sign, n in groups], max(min(width, 120) - 2, 10)) + "]",
        "  ".join(f"{sign} {name} {size(n)}" for name, sign, n in groups if n),
        "  " + ", ".join(f"{area} {size(n)}" for area, n in shown),
    ]
    overlap = [f"{name} {size(n)}" for name, n in sizes.items() if name not in areas and n >= total * LEAST]
    found += ["  of which " + ", ".join(overlap)] if overlap else []
    for verdict in report.verdicts:
        found += [f"  {_titled(key)}{clean_line(str(text))}" for key, text in verdict.evidence.items() if key.startswith(OF_HOLDERS)]
    return found


def bar(parts: list[tuple[str, int]], width: int) -> str:
    """Draw shares of a whole in `width` characters. What is there at all gets one, and the largest pays for it."""
    total = sum(n for _, n in parts)
    cells = [max(round(n * width / total), 1) if n else 0 for _, n in parts]
    cells[cells.index(max(cells))] += width - sum(cells)
    return "".join(sign * cell for (sign, _), cell in zip(parts, cells, strict=True))


def _titled(key: str) -> str:
    return "" if key.startswith("holder_") else f"{key.replace('_', ' ')}: "


def clean_line(text: str) -> str:
    """Keep a line one line, whatever a process calls itself."""
    return " ".join(clean(word) for word in text.split())
