"""Findings and panels of `vitald check` on a terminal: tables, bars, and sparklines of block characters."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text

from collectors.model import Level
from collectors.text import formatted
from daemon.cli import layout
from daemon.status.unknown import worst_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from collectors.model import Verdict
    from collectors.panel import Cell, Panel, Share, Sparkline
    from daemon.cli.check.collector_run import CollectorRun

MAX_SUBJECTS = 5  # healthy subjects printed per check; as many as fit a line
STYLES = {Level.UNKNOWN: "magenta", Level.WARNING: "yellow", Level.CRITICAL: "bold red"}
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.:-=+*#"  # where the output has another encoding than UTF-8
COLOURS = ("blue", "red", "magenta", "yellow", "cyan", "green", "white", "bright_black")
SIGNS = "#K=-.+*~"  # one for each part of a bar, so that it can be read without colours
SPARKLINE_CELLS = 24
MAX_ROWS = 30


def print_table(runs: Sequence[CollectorRun], daemon: str = "") -> None:
    """Print findings with evidence and remediation, worst first; then healthy subjects, a line per check; then panels.

    `daemon` has the counts of the daemon's findings, empty if it does not answer.
    """
    out = layout.console()
    verdicts = [verdict for run in runs for verdict in run.verdicts]
    if bad := sorted((v for v in verdicts if v.level), key=worst_first):
        print_findings(out, bad)
    print_healthy(out, verdicts)
    for run in runs:
        if run.unavailable is not None and run.obstacle is None:
            layout.write(out, layout.paragraph(f"{run.name}: {run.unavailable}", out.width, Text("not applicable ", "dim")))
    if needs_history := {check: what for run in runs for check, what in run.needs_history.items()}:
        layout.write(out, layout.paragraph(_history(needs_history, daemon), out.width, Text("one look ", "dim")))
    for warning in (warning for run in runs for panel in run.panels for warning in panel.warnings):
        layout.write(out, layout.paragraph(warning, out.width, Text("incomplete ", "yellow")))
    for run in runs:
        for panel in run.panels:
            out.print()
            print_panel(out, panel)
    if not runs:
        sys.stdout.write("no collector is enabled\n")


def _history(needs_history: Mapping[str, str], daemon: str) -> str:
    """Return what one look cannot judge, and who can."""
    checks: dict[str, list[str]] = {}
    for check, what in needs_history.items():
        checks.setdefault(what, []).append(check)
    listed = "; ".join(f"{what} ({', '.join(names)})" for what, names in checks.items())
    known = f"vitald status, where the daemon has {daemon}" if daemon else "vitald status"
    return f"not judged here, since it needs history: {listed}. See {known}"


def _folded(verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    """Yield unknown verdicts with the same cause as one, with all of its checks."""
    checks: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.level is Level.UNKNOWN:
            checks.setdefault(verdict.message, []).append(verdict.check)
    for verdict in verdicts:
        if verdict.level is not Level.UNKNOWN:
            yield verdict
        elif same := checks.pop(verdict.message, None):
            yield replace(verdict, check=", ".join(same))


def print_findings(out: Console, verdicts: Sequence[Verdict]) -> None:
    """Print findings, in this order, each with its message, remediation and evidence; unknown ones with the same cause as one."""
    for verdict in _folded(verdicts):
        level = Text(f"{verdict.level.name} ", STYLES[verdict.level])
        layout.write(out, layout.paragraph(f"{verdict.check} {verdict.subject}", out.width, level, "bold"))
        layout.write(out, layout.paragraph(verdict.message, out.width, Text("  ")))
        if verdict.remediation:
            layout.write(out, layout.paragraph(verdict.remediation, out.width, Text("  remediation: ", "dim")))
        if verdict.evidence:
            out.print(Text("  evidence:", "dim"))
            facts = [(key.replace("_", " "), formatted(value)) for key, value in verdict.evidence.items()]
            layout.write(out, layout.fields(facts, out.width, 4))
        out.print()


def print_healthy(out: Console, verdicts: Sequence[Verdict]) -> None:
    """Print the healthy subjects, a line per check."""
    for check in sorted({verdict.check for verdict in verdicts if not verdict.level}):
        subjects = [verdict.subject for verdict in verdicts if verdict.check == check and not verdict.level]
        more = f" and {len(subjects) - MAX_SUBJECTS} more" if len(subjects) > MAX_SUBJECTS else ""
        text = f"{check}: {', '.join(subjects[:MAX_SUBJECTS])}{more}"
        layout.write(out, layout.paragraph(text, out.width, Text("healthy ", "green")))


def print_panel(out: Console, panel: Panel) -> None:
    """Print one panel."""
    layout.write(out, layout.paragraph(panel.title, out.width, Text(), "bold"))
    layout.write(out, tuple(_bar(panel.shares, min(out.width, 120))))
    if panel.rows:
        rows = [[_cell(cell, out) for cell in row] for row in panel.rows[:MAX_ROWS]]
        layout.write(out, layout.table(panel.columns, rows, out.width))
        if len(panel.rows) > MAX_ROWS:
            out.print(Text(f"and {len(panel.rows) - MAX_ROWS} more", "dim"))
    for note in panel.notes:
        layout.write(out, layout.paragraph(note, out.width, Text(), "dim"))


def sparkline(chart: Sparkline, blocks: str = BLOCKS) -> str:
    """Draw the newest values in block characters, scaled to their maximum; a missing value is an `x`."""
    values = chart.values[-SPARKLINE_CELLS:]
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    return "".join("x" if value is None else blocks[round(value / top * (len(blocks) - 1))] for value in values)


def shares_in_cells(values: Sequence[float], width: int) -> list[int]:
    """Divide `width` cells in proportion; each value above 0 gets at least one, at the expense of the largest."""
    total = sum(values)
    cells = [max(round(value * width / total), 1) if value > 0 else 0 for value in values]
    cells[cells.index(max(cells))] += width - sum(cells)
    return cells


def _cell(cell: Cell, out: Console) -> layout.Cell:
    if isinstance(cell, str):
        return layout.Cell(cell)
    return layout.Cell(sparkline(cell, BLOCKS if out.encoding.startswith("utf") else ASCII_BLOCKS))


def _bar(shares: Sequence[Share], width: int) -> Iterator[Text]:
    if sum(share.value for share in shares) <= 0:
        return
    styles = [(SIGNS[index % len(SIGNS)], COLOURS[index % len(COLOURS)]) for index in range(len(shares))]
    cells = shares_in_cells([share.value for share in shares], max(width - 2, 10))
    yield Text.assemble("[", *((sign * cell, colour) for (sign, colour), cell in zip(styles, cells, strict=True)), "]")
    for share, (sign, colour) in zip(shares, styles, strict=True):
        if share.value > 0:
            inside = f" (of which {', '.join(share.of_which)})" if share.of_which else ""
            yield from layout.paragraph(f"{share.name} {share.text}{inside}", width, Text.assemble("  ", (sign, colour), " "))
