"""Panels on a terminal: tables, bars, and sparklines of block characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import HORIZONTALS
from rich.table import Table
from rich.text import Text

from collectors.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from collectors.panel import Cell, Panel, Share, Sparkline

BLOCKS = "▁▂▃▄▅▆▇█"
COLOURS = ("blue", "red", "magenta", "yellow", "cyan", "green", "white", "bright_black")
SIGNS = "#K=-.+*~"  # one for each part of a bar, so that it can be read without colours
SPARKLINE_CELLS = 24
MAX_ROWS = 30


def print_panel(console: Console, panel: Panel) -> None:
    """Print one panel."""
    console.print(Text(printable(panel.title), "bold"))
    for line in _bar(panel.shares, min(console.width, 120)):
        console.print(line)
    if panel.rows:
        console.print(_table(panel))
    for note in panel.notes:
        console.print(Text(printable(note), "dim"))


def sparkline(chart: Sparkline) -> str:
    """Draw the newest values in block characters, scaled to their maximum; a missing value is an `x`."""
    values = chart.values[-SPARKLINE_CELLS:]
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    return "".join("x" if value is None else BLOCKS[round(value / top * (len(BLOCKS) - 1))] for value in values)


def shares_in_cells(values: Sequence[float], width: int) -> list[int]:
    """Divide `width` cells in proportion; each value above 0 gets at least one, at the expense of the largest."""
    total = sum(values)
    cells = [max(round(value * width / total), 1) if value > 0 else 0 for value in values]
    cells[cells.index(max(cells))] += width - sum(cells)
    return cells


def _table(panel: Panel) -> Table:
    table = Table(*panel.columns, box=HORIZONTALS, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    for row in panel.rows[:MAX_ROWS]:
        table.add_row(*map(_cell, row))
    if len(panel.rows) > MAX_ROWS:
        table.caption = f"and {len(panel.rows) - MAX_ROWS} more"
    return table


def _cell(cell: Cell) -> Text:
    return Text(printable(cell)) if isinstance(cell, str) else Text(sparkline(cell), no_wrap=True)


def _bar(shares: Sequence[Share], width: int) -> Iterator[Text]:
    if sum(share.value for share in shares) <= 0:
        return
    styles = [(SIGNS[index % len(SIGNS)], COLOURS[index % len(COLOURS)]) for index in range(len(shares))]
    cells = shares_in_cells([share.value for share in shares], max(width - 2, 10))
    yield Text.assemble("[", *((sign * cell, colour) for (sign, colour), cell in zip(styles, cells, strict=True)), "]")
    for share, (sign, colour) in zip(shares, styles, strict=True):
        if share.value > 0:
            inside = f" (of which {printable(', '.join(share.of_which))})" if share.of_which else ""
            yield Text.assemble("  ", (sign, colour), f" {printable(share.name)} {printable(share.text)}{inside}")
