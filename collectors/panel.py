"""Panels of the status page and of `vitald check`: tables, bars and sparklines. It imports nothing of vitald."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Values of a small chart, oldest first; None is a sample without a value (a failed probe). `label` describes it as text."""

    values: tuple[float | None, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole: `text` is `value` formatted, `of_which` lists smaller parts inside it."""

    name: str
    value: float
    text: str
    of_which: tuple[str, ...] = ()


Cell = str | Sparkline


@dataclass(frozen=True, slots=True)
class Panel:
    """A table, a bar of shares, or both, with notes below. The worst rows come first, since both outputs cut the rest.

    `warnings` say what the panel's data lacks (lost log messages); both outputs print them before everything but the findings' state.
    """

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    shares: tuple[Share, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
