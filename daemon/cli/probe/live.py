"""What `vitald probe` shows while it runs: a line a try, or on a terminal a table of many targets."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon.cli.probe.stats import HEADINGS, worst_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table

    from collectors.probe.connect.outcome import Outcome
    from daemon.cli.probe.stats import Tally

    Show = Callable[[Sequence[tuple[Tally, Outcome]]], None]

LONG_RUN = 10.0  # seconds, from which on a terminal gets a progress bar
ROOM = 6  # lines of a terminal that the table does not take


@contextmanager
def shown(tallies: Sequence[Tally], count: int, interval: float, form: str) -> Iterator[Show]:
    """Give what shows a round of tries that have ended; nothing is shown where the output is for programs."""
    if form == "json":
        yield lambda _: None
    elif not sys.stdout.isatty():
        yield lambda ended: print("\n".join(tally.line(outcome) for tally, outcome in ended), flush=True)  # noqa: T201 — the command's output
    elif len(tallies) > 1:
        with _table(tallies) as show:
            yield show
    else:
        with _lines(count, interval) as show:
            yield show


@contextmanager
def _lines(count: int, interval: float) -> Iterator[Show]:
    """Write a line a try; a long run has a progress bar below them."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415 — 6 MB, for terminals only

    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, transient=True, disable=not count or count * interval < LONG_RUN) as bar:
        task = bar.add_task("", total=count or None)

        def show(ended: Sequence[tuple[Tally, Outcome]]) -> None:
            for tally, outcome in ended:
                bar.console.print(tally.line(outcome), markup=False, highlight=False, soft_wrap=True)
                bar.update(task, completed=tally.tries)

        yield show


@contextmanager
def _table(tallies: Sequence[Tally]) -> Iterator[Show]:
    """Keep a table up to date, the worst targets first, as many as the terminal has lines for."""
    from rich.live import Live  # noqa: PLC0415 — for terminals only

    with Live(draw(tallies, 0), refresh_per_second=4, transient=True) as live:
        yield lambda _: live.update(draw(tallies, live.console.height - ROOM))


def draw(tallies: Sequence[Tally], lines: int) -> Table:
    """Draw the table with that many lines at most (at least one)."""
    from rich.table import Table  # noqa: PLC0415 — for terminals only
    from rich.text import Text  # noqa: PLC0415

    ordered, lines = worst_first(tallies), max(1, lines)
    drawn = Table(box=None, caption=f"and {len(ordered) - lines} more" if len(ordered) > lines else None)
    for heading in HEADINGS:
        drawn.add_column(heading, justify="left" if heading in {"target", "last"} else "right", no_wrap=True)
    for tally in ordered[:lines]:
        healthy = tally.last is None or tally.last.reason.name == "ANSWERED"
        drawn.add_row(*map(Text, tally.row()), style="" if healthy and not tally.lost else "yellow" if healthy else "red")
    return drawn
