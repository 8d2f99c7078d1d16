"""Panel definitions of the dashboard: title, description, queries. make_dashboard.py renders them as Grafana JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """One panel. `queries` are pairs of PromQL and legend; `width` is in 24ths of a row; `unit` is a Grafana unit id."""

    kind: str  # graph, stack, number, table
    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    width: int = 8
    description: str = ""


def graph(title: str, unit: str, *queries: tuple[str, str], width: int = 8, description: str = "") -> Panel:
    """Return a time series panel."""
    return Panel("graph", title, queries, unit, width, description)


def number(title: str, query: str, unit: str = "none", description: str = "") -> Panel:
    """Return a panel with the newest value."""
    return Panel("number", title, ((query, ""),), unit, 3, description)


def table(title: str, query: str, width: int = 12, unit: str = "short", description: str = "") -> Panel:
    """Return a table with a row for each series, newest values."""
    return Panel("table", title, ((query, ""),), unit, width, description)
