"""Output of `vitald probe` while it runs: a line per try, or on a terminal a table of many targets."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon.cli.probe.stats import HEADINGS, worst_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table

    from collectors.probe.connect.result import ProbeResult
    from daemon.cli.probe.stats import ProbeStats

    Show = Callable[[Sequence[tuple[ProbeStats, ProbeResult]]], None]

PROGRESS_SECONDS = 10.0  # of a run, from which on a terminal gets a progress bar
OTHER_LINES = 6  # of a terminal, not used by the table


@contextmanager
def display(stats: Sequence[ProbeStats], count: int, interval: float, form: str) -> Iterator[Show]:
    """Return a function that displays the results of a round; with `--format json` it displays nothing."""
    if form == "json":
        yield lambda _: None
    elif not sys.stdout.isatty():
        yield lambda ended: print("\n".join(each.line(result) for each, result in ended), flush=True)  # noqa: T201 — the command's output
    else:
        with _table(stats) if len(stats) > 1 else _lines(count, interval) as show:
            yield show


@contextmanager
def _lines(count: int, interval: float) -> Iterator[Show]:
    """Write a line per try, and for a long run a progress bar below."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415 — 6 MB, for terminals only

    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, transient=True, disable=not count or count * interval < PROGRESS_SECONDS) as bar:
        task = bar.add_task("", total=count or None)

        def show(ended: Sequence[tuple[ProbeStats, ProbeResult]]) -> None:
            for each, result in ended:
                bar.console.print(each.line(result), markup=False, highlight=False, soft_wrap=True)
                bar.update(task, completed=each.tries)

        yield show


@contextmanager
def _table(stats: Sequence[ProbeStats]) -> Iterator[Show]:
    """Update a table, the worst targets first, as many as fit on the terminal."""
    from rich.live import Live  # noqa: PLC0415 — for terminals only

    with Live(draw(stats, 0), refresh_per_second=4, transient=True) as live:
        yield lambda _: live.update(draw(stats, live.console.height - OTHER_LINES))


def draw(stats: Sequence[ProbeStats], lines: int) -> Table:
    """Return the table with `lines` lines at most, and at least one."""
    from rich.table import Table  # noqa: PLC0415 — for terminals only
    from rich.text import Text  # noqa: PLC0415

    ordered, lines = worst_first(stats), max(1, lines)
    drawn = Table(box=None, caption=f"and {len(ordered) - lines} more" if len(ordered) > lines else None)
    for heading in HEADINGS:
        drawn.add_column(heading, justify="left" if heading in {"target", "last"} else "right", no_wrap=True)
    for each in ordered[:lines]:
        healthy = each.last is None or each.last.reason.name == "ANSWERED"
        drawn.add_row(*map(Text, each.row()), style="" if healthy and not each.lost else "yellow" if healthy else "red")
    return drawn
