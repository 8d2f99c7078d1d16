"""Table of `vitald status`: the host in a line, findings with since when, healthy subjects, collectors, and the daemon itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.box import HORIZONTALS
from rich.console import Console
from rich.table import Table
from rich.text import Text

from collectors.model import Level
from collectors.text import printable, two_units
from daemon.cli.check.table import print_findings, print_healthy
from daemon.status.unknown import counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.model import Verdict

COLUMNS = ("collector", "state", "last read (UTC)", "detail")


def print_status(document: Mapping[str, Any], findings: Sequence[Verdict]) -> None:
    """Print the daemon's view; `findings` are those of the document, worst first."""
    console = Console(highlight=False)
    name = printable(str(document.get("host", {}).get("hostname", "") or "this host"))
    console.print(Text(f"{name}: {counts(findings) or 'no readings yet'}", "bold"))
    bad = [verdict for verdict in findings if verdict.level is not Level.HEALTHY]
    if bad:
        print_findings(console, bad)
    print_healthy(console, findings)
    table = Table(*COLUMNS, box=HORIZONTALS, pad_edge=False)
    for collector in document["collectors"]:
        cells = (collector["name"], collector["state"], collector["last_read"] or "never", collector["detail"])
        table.add_row(*(Text(printable(str(cell))) for cell in cells))
    console.print(table)
    reload = document["last_reload"]
    loaded = f"settings loaded at {reload['loaded']}"
    if not reload["successful"]:
        loaded = f"the last reload failed, in use are the settings of {reload['loaded']}: vitald check-config names the errors"
    age = two_units(float(document["uptime_seconds"]))
    console.print(Text(printable(f"vitald {document['version']}, running for {age} since {document['started']}; {loaded}"), "dim"))
