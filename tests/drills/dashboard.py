"""Every query of the shipped dashboard, put to the Prometheus of the drills' fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kit.dashboards import EMPTY_WHEN_HEALTHY, queries
from tests.kit.results import Row
from tests.kit.rulebook import names

if TYPE_CHECKING:
    from tests.drills.lab import Lab
    from tests.drills.watch import Watch


def dashboard(lab: Lab, watch: Watch) -> Row:
    """Count the queries that have data; one without, although all of its metrics are there, is named."""
    everywhere = [list(queries(host.instance)) for host in lab.hosts.values()]
    asked = everywhere[0]
    empty = [
        (title, query)
        for (title, query), *others in zip(*everywhere, strict=True)
        if not any(watch.ask(same) for _, same in ((title, query), *others))
    ]
    absent = {name for _, query in empty for name in names(query) if not watch.ask(f"count({name})")}
    odd = sorted({title for title, query in empty if not names(query) & absent and title not in EMPTY_WHEN_HEALTHY})
    return Row(
        "dashboard queries with data in the lab",
        "all whose metrics a collector here exports",
        f"{len(asked) - len(empty)} of {len(asked)}",
        f"not exported here: {', '.join(sorted(absent)) or 'nothing'}",
        "-",
        met=not odd,
        reason=f"empty: {', '.join(odd)}" if odd else "",
    )
