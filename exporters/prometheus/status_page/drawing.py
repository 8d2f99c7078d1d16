"""Inline SVG charts of the status page; colours are in status.css."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from collectors.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.panel import Share, Sparkline

WIDTH, HEIGHT = 120, 22  # user units of a sparkline; the page scales it
COLOURS = 8  # classes c0 … c7 of the style sheet


def draw_sparkline(line: Sparkline) -> str:
    """Return values over time as thin bars from 0 to their maximum; a missing value is a full bar of another colour."""
    if not line.values:
        return ""
    highest = max((value for value in line.values if value is not None), default=0.0) or 1.0
    step = WIDTH / len(line.values)
    present: list[str] = []
    missing: list[str] = []
    for index, value in enumerate(line.values):
        height = HEIGHT if value is None else max(1.0, HEIGHT * value / highest)
        (missing if value is None else present).append(f"M{index * step:.1f} {HEIGHT}v-{height:.1f}h{step * 0.8:.2f}v{height:.1f}z")
    paths = "".join(f'<path class="{name}" d="{"".join(path)}"/>' for name, path in (("v", present), ("x", missing)) if path)
    label = escape(printable(line.label))
    frame = f'class="sparkline" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img"'
    return f'<svg {frame} aria-label="{label}"><title>{label}</title>{paths}</svg>'


def draw_bar(shares: Sequence[Share]) -> str:
    """Return a whole in its parts, with a legend; parts of size 0 are left out."""
    total = sum(share.value for share in shares)
    if total <= 0:
        return ""
    left, boxes, legend = 0.0, [], []
    for index, share in enumerate(shares):
        if share.value <= 0:
            continue
        colour, percent = index % COLOURS, 100 * share.value / total
        text = escape(printable(f"{share.name}: {share.text}, {percent:.1f} %"))
        boxes.append(f'<rect class="c{colour}" x="{left:.3f}" width="{percent:.3f}" height="6"><title>{text}</title></rect>')
        details = f" <small>of which {escape(printable(', '.join(share.of_which)))}</small>" if share.of_which else ""
        legend.append(f'<li><i class="c{colour}"></i>{text}{details}</li>')
        left += percent
    label = escape(printable(", ".join(f"{share.name} {share.text}" for share in shares if share.value > 0)))
    picture = f'<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{label}">{"".join(boxes)}</svg>'
    return f'{picture}<ul class="legend">{"".join(legend)}</ul>'
