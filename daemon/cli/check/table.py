"""Findings and panels of `vitald check` on a terminal: tables, bars, and sparklines of block characters."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.box import HORIZONTALS
from rich.console import Console
from rich.table import Table
from rich.text import Text

from collectors.model import Level
from collectors.text import printable
from daemon.status.unknown import worst_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collectors.model import Verdict
    from collectors.panel import Cell, Panel, Share, Sparkline
    from daemon.cli.check.collector_run import CollectorRun

MAX_SUBJECTS = 5  # healthy subjects printed per check; as many as fit a line
STYLES = {Level.UNKNOWN: "magenta", Level.WARNING: "yellow", Level.CRITICAL: "bold red"}
BLOCKS = "▁▂▃▄▅▆▇█"
COLOURS = ("blue", "red", "magenta", "yellow", "cyan", "green", "white", "bright_black")
SIGNS = "#K=-.+*~"  # one for each part of a bar, so that it can be read without colours
SPARKLINE_CELLS = 24
MAX_ROWS = 30


def print_table(runs: Sequence[CollectorRun]) -> None:
    """Print findings with evidence and remediation, worst first; then healthy subjects, a line per check; then panels."""
    console = Console(highlight=False)
    verdicts = [verdict for run in runs for verdict in run.verdicts]
    if bad := sorted((v for v in verdicts if v.level), key=worst_first):
        print_findings(console, bad)
    print_healthy(console, verdicts)
    for run in runs:
        if run.unavailable is not None and run.obstacle is None:
            console.print(Text.assemble(("not applicable ", "dim"), f"{run.name}: {printable(str(run.unavailable))}"))
    for run in runs:
        for panel in run.panels:
            print_panel(console, panel)
    if not runs:
        sys.stdout.write("no collector is enabled\n")


def print_findings(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Print findings, in this order; unknown ones with the same cause as one."""
    console.print(_findings(list(_folded(verdicts))))


def print_healthy(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Print the healthy subjects, a line per check."""
    for check in sorted({verdict.check for verdict in verdicts if not verdict.level}):
        subjects = [printable(verdict.subject) for verdict in verdicts if verdict.check == check and not verdict.level]
        more = f" and {len(subjects) - MAX_SUBJECTS} more" if len(subjects) > MAX_SUBJECTS else ""
        console.print(Text.assemble(("healthy ", "green"), f"{check}: {', '.join(subjects[:MAX_SUBJECTS])}{more}"))


def _folded(verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    """Yield unknown verdicts with the same cause as one, with its checks in lines of their own."""
    checks: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.level is Level.UNKNOWN:
            checks.setdefault(verdict.message, []).append(verdict.check)
    for verdict in verdicts:
        if verdict.level is not Level.UNKNOWN:
            yield verdict
        elif same := checks.pop(verdict.message, None):
            yield replace(verdict, check="\n".join(same))


def _findings(verdicts: Sequence[Verdict]) -> Table:
    """Lay out findings for 80 columns: level, check and subject on the left, everything else on the right."""
    table = Table("finding", "message, evidence, remediation", box=HORIZONTALS, show_lines=True, pad_edge=False)
    table.columns[0].overflow = "fold"
    table.columns[1].overflow = "fold"
    for verdict in verdicts:
        name = Text.assemble((verdict.level.name, STYLES[verdict.level]), "\n", verdict.check, "\n", printable(verdict.subject))
        evidence = ", ".join(f"{key.replace('_', ' ')} {printable(_formatted(value))}" for key, value in verdict.evidence.items())
        rows = [
            ("message", printable(verdict.message), ""),
            ("evidence", evidence, "dim"),
            ("remediation", printable(verdict.remediation), ""),
        ]
        inner = Table.grid(padding=(0, 1))
        for label, text, style in rows:
            if text:
                inner.add_row(Text(label, "dim"), Text(text, style, overflow="fold"))
        table.add_row(name, inner)
    return table


def _formatted(value: Any) -> str:  # noqa: ANN401 — any evidence of a collector
    """Format an evidence value, dictionaries and lists without brackets."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_formatted(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return "; ".join(map(_formatted, value)) or "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


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
