"""Table of `vitald status`: the host in a line, findings with since when, healthy subjects, collectors, and the daemon itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from collectors.model import Level
from collectors.text import two_units
from daemon.cli import layout
from daemon.cli.check.table import print_findings, print_healthy
from daemon.status.unknown import counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.model import Verdict

COLUMNS = ("collector", "state", "last read (UTC)", "detail")


def print_status(document: Mapping[str, Any], findings: Sequence[Verdict]) -> None:
    """Print the daemon's view; `findings` are those of the document, worst first."""
    out = layout.console()
    name = str(document.get("host", {}).get("hostname", "") or "this host")
    layout.write(out, layout.paragraph(f"{name}: {counts(findings) or 'no readings yet'}", out.width, Text(), "bold"))
    out.print()
    bad = [verdict for verdict in findings if verdict.level is not Level.HEALTHY]
    if bad:
        print_findings(out, bad)
    print_healthy(out, findings)
    for warning in document.get("warnings", ()):
        layout.write(out, layout.paragraph(str(warning), out.width, Text("incomplete ", "yellow")))
    out.print()
    rows = [
        [(str(cell), "") for cell in (collector["name"], collector["state"], collector["last_read"] or "never", collector["detail"])]
        for collector in document["collectors"]
    ]
    layout.write(out, layout.table(COLUMNS, rows, out.width))
    out.print()
    reload = document["last_reload"]
    loaded = f"settings loaded at {reload['loaded']}"
    if not reload["successful"]:
        loaded = f"the last reload failed, in use are the settings of {reload['loaded']}: vitald check-config names the errors"
    age = two_units(float(document["uptime_seconds"]))
    text = f"vitald {document['version']}, running for {age} since {document['started']}; {loaded}"
    layout.write(out, layout.paragraph(text, out.width, Text(), "dim"))
