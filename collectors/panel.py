"""What a collector shows to people who look: tables, bars and small charts, in words that are ready to read. It imports nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trace:
    """A small chart's values, oldest first; None is a moment without one (a probe that failed). `label` says in words what it shows."""

    values: tuple[float | None, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole: `words` is its size for people, `of_which` are smaller facts inside it."""

    name: str
    value: float
    words: str
    of_which: tuple[str, ...] = ()


Cell = str | Trace


@dataclass(frozen=True, slots=True)
class Panel:
    """One thing to look at: a table, or a whole in its parts, or both, and notes below. The worst rows come first: a page cuts the rest."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    shares: tuple[Share, ...] = ()
    notes: tuple[str, ...] = ()
