"""Prometheus' spelling of the house's names: the program's prefix, and a suffix for each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.model import Kind

if TYPE_CHECKING:
    from collectors.model import Family

PREFIX = "vitald_"
SUFFIX = {Kind.COUNTER: "_total", Kind.INFO: "_info", Kind.GAUGE: "", Kind.HISTOGRAM: ""}


def base_name(family: Family) -> str:
    """Name the family as OpenMetrics does, without the suffix of its kind: `vitald_probe_attempts`."""
    return PREFIX + family.name.removesuffix(SUFFIX[family.kind])


def exported_name(family: Family) -> str:
    """Name the family as users write it in queries: `vitald_probe_attempts_total`."""
    return base_name(family) + SUFFIX[family.kind]
