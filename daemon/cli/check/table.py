"""Findings and panels of `vitald check` on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.box import HORIZONTALS
from rich.console import Console
from rich.table import Table
from rich.text import Text

from collectors.model import Level
from collectors.text import printable
from daemon.cli.check.panels import print_panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.model import Verdict
    from daemon.cli.check.command import CollectorRun

MAX_SUBJECTS = 5  # healthy subjects printed per check; as many as fit a line
STYLES = {Level.WARNING: "yellow", Level.CRITICAL: "bold red"}


def print_table(runs: Sequence[CollectorRun]) -> None:
    """Print findings with evidence and remediation, worst first; then healthy subjects, a line per check; then panels."""
    console = Console(highlight=False)
    verdicts = [verdict for run in runs for verdict in run.verdicts]
    if bad := sorted((v for v in verdicts if v.level), key=lambda v: (-v.level, v.check, v.subject)):
        console.print(_findings(bad))
    for check in sorted({verdict.check for verdict in verdicts if not verdict.level}):
        subjects = [printable(verdict.subject) for verdict in verdicts if verdict.check == check and not verdict.level]
        more = f" and {len(subjects) - MAX_SUBJECTS} more" if len(subjects) > MAX_SUBJECTS else ""
        console.print(Text.assemble(("healthy ", "green"), f"{check}: {', '.join(subjects[:MAX_SUBJECTS])}{more}"))
    for run in runs:
        if run.error or run.unavailable:
            state, colour = ("unknown", "magenta") if run.error else ("unavailable", "dim")
            console.print(Text.assemble((f"{state} ", colour), f"{run.name}: {printable(run.error or run.unavailable)}"))
    for run in runs:
        for panel in run.panels:
            print_panel(console, panel)
    if not runs:
        sys.stdout.write("no collector is enabled\n")


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
