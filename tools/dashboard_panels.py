"""Panel definitions of the dashboard: title, description, queries. make_dashboard.py renders them as Grafana JSON."""

from __future__ import annotations

from dataclasses import dataclass

Steps = tuple[tuple[float | None, str], ...]  # lower bound of a range (None: without one) and its colour, ascending
BAD: Steps = ((None, "green"), (1, "red"))  # of counts that should be 0
WORSE: Steps = ((None, "green"), (1, "orange"))


@dataclass(frozen=True)
class Panel:
    """One panel. `queries` are pairs of PromQL and legend; `width` is in 24ths of a row; `unit` is a Grafana unit id.

    `steps` are thresholds; `severity` is the column (of a table) or `*` (all values) whose values are the levels of `vitald_health`;
    `renamed` and `hidden` are columns of a table; `ascending` is the column that it is sorted by, else by `severity`, the worst first.
    """

    kind: str  # graph, stack, number, table, states
    title: str
    queries: tuple[tuple[str, str], ...]
    description: str
    unit: str = "short"
    width: int = 8
    height: int = 8
    steps: Steps = ()
    severity: str = ""
    renamed: tuple[tuple[str, str], ...] = ()
    hidden: tuple[str, ...] = ()
    times: tuple[str, ...] = ()  # columns with Unix times in milliseconds


def graph(title: str, description: str, unit: str, *queries: tuple[str, str], width: int = 8, steps: Steps = ()) -> Panel:
    """Return a time series panel."""
    return Panel("graph", title, queries, description, unit, width, steps=steps)


def number(title: str, description: str, query: str, unit: str = "none", steps: Steps = ()) -> Panel:
    """Return a panel with the newest value."""
    return Panel("number", title, ((query, ""),), description, unit, 3, 4, steps)


def table(title: str, description: str, *queries: str, width: int = 12, height: int = 8, **columns: object) -> Panel:
    """Return a table with a row for each series, newest values; several queries are joined by their common labels."""
    pairs = tuple((query, "") for query in queries)
    return Panel("table", title, pairs, description, width=width, height=height, **columns)  # type: ignore[arg-type]


def states(title: str, description: str, query: str, legend: str, width: int = 24, height: int = 8) -> Panel:
    """Return a timeline of levels, a row for each series."""
    return Panel("states", title, ((query, legend),), description, "none", width, height, severity="*")
