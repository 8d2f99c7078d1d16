"""Panels of the dashboard: a title and queries. make_dashboard.py turns them into Grafana's JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """One panel. `queries` are pairs of PromQL and legend; `width` is of 24; `unit` is Grafana's name of it."""

    kind: str  # graph, stack, number, table
    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    width: int = 8
    about: str = ""


def graph(title: str, unit: str, *queries: tuple[str, str], width: int = 8, about: str = "") -> Panel:
    """Draw lines over time."""
    return Panel("graph", title, queries, unit, width, about)


def number(title: str, query: str, unit: str = "none", about: str = "") -> Panel:
    """Show one number, now."""
    return Panel("number", title, ((query, ""),), unit, 3, about)


def table(title: str, query: str, width: int = 12, unit: str = "short", about: str = "") -> Panel:
    """Show a row for each series, now."""
    return Panel("table", title, ((query, ""),), unit, width, about)
