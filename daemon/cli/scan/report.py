"""Output of `vitald scan` as tables and as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from collectors.logs.scan.history import gaps
from collectors.text import printable, two_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from collectors.logs.matching.packs import Packs
    from collectors.logs.scan.history import EventHistory, EventRow, Outage

MAX_ROWS = 60  # of each table; JSON has all
MAX_SUBJECTS = 20  # hosts and families
_SEVERITY = {"critical": "CRIT", "warning": "WARN", "info": "info", "recovery": "ok"}
_STYLE = {"critical": "bold red", "warning": "yellow", "info": "", "recovery": "green"}


Table = tuple[tuple[str, ...], "Sequence[Sequence[tuple[str, str]]]"]  # headings; rows of texts with their styles


@dataclass
class ScanResult:
    """Files that were scanned, and their events. `problems` has a line for each file that could not be read completely."""

    packs: Packs
    history: EventHistory
    files: list[str] = field(default_factory=list)
    size: int = 0  # bytes of plain text
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def print_json(scan: ScanResult, outages: Sequence[Outage]) -> None:
    """Print one JSON document. Times are ISO 8601 in UTC, durations in seconds."""
    document = {
        "files": scan.files,
        "bytes": scan.size,
        "seconds": round(scan.seconds, 3),
        "problems": scan.problems,
        "events": [
            {
                "signature": row.key.signature,
                "severity": row.severity,
                "family": scan.packs.by_id[row.key.signature].family,
                "host": row.key.host,
                "instance": row.key.instance,
                "count": row.times,
                "first": _iso(row.first),
                "last": _iso(row.last),
                "meaning": scan.packs.by_id[row.key.signature].meaning,
                "remediation": scan.packs.by_id[row.key.signature].remediation,
            }
            for row in scan.history.rows()
        ],
        "outages": [
            {
                "host": outage.host,
                "family": outage.family,
                "severity": outage.severity,
                "start": _iso(outage.start),
                "end": _iso(outage.end),
                "duration": round(outage.end - outage.start, 3),
                "gap_before": None if outage.gap is None else round(outage.gap, 3),
                "faults": outage.faults,
                "ended_by": outage.ended_by or None,
                "signatures": outage.signatures,
                "instances": outage.instances,
            }
            for outage in outages
        ],
    }
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=True) + "\n")


def print_table(scan: ScanResult, outages: Sequence[Outage]) -> None:
    """Print the events, the outages with the gaps between them, and the faults' meaning and remediation."""
    from rich.text import Text  # noqa: PLC0415 — 6 MB

    from daemon.cli import layout  # noqa: PLC0415

    out = layout.console()
    rows = scan.history.rows()
    if rows:
        hosts = {row.key.host for row in rows}
        title = "Events" + (f" on {hosts.pop()}" if len(hosts) == 1 and hosts != {""} else "")
        layout.write(out, layout.paragraph(title, out.width, Text(), "bold"))
        layout.write(out, layout.table(*_events(rows[:MAX_ROWS]), out.width))
        _more(out, len(rows) - MAX_ROWS, "rows")
        out.print()
    by_subject: dict[tuple[str, str], list[Outage]] = {}
    for outage in outages:
        by_subject.setdefault((outage.host, outage.family), []).append(outage)
    for subject in sorted(by_subject.values(), key=len, reverse=True)[:MAX_SUBJECTS]:
        layout.write(out, layout.paragraph(_title(subject), out.width, Text(), "bold"))
        layout.write(out, layout.table(*_outages(subject), out.width))
        _more(out, len(subject) - MAX_ROWS, "earlier outages")
        out.print()
    _more(out, len(by_subject) - MAX_SUBJECTS, "hosts and families with outages")
    for identity in dict.fromkeys(row.key.signature for row in rows if row.severity in {"critical", "warning"}):
        signature = scan.packs.by_id[identity]
        out.print(Text(identity, _STYLE[signature.severity]), soft_wrap=True)
        named = [("meaning", signature.meaning), ("remediation", signature.remediation)]
        layout.write(out, layout.fields([(label, text) for label, text in named if text], out.width, 2))
    scanned = f"{amount(scan.size)} in {len(scan.files)} {'file' if len(scan.files) == 1 else 'files'}"
    rate = f", {scan.seconds:.1f} s, {amount(scan.size / scan.seconds)}/s" if scan.seconds else ""
    out.print(f"\n{scanned}{rate}" if rows else f"no events: {scanned}{rate}", style="dim")


def _events(rows: Sequence[EventRow]) -> Table:
    """Return headings and cells of the events."""
    shown = ("host",) if len({row.key.host for row in rows}) > 1 else ()
    cells = [
        (
            (_SEVERITY[row.severity], _STYLE[row.severity]),
            (row.key.signature, _STYLE[row.severity]),
            *(((row.key.host, ""),) if shown else ()),
            (row.key.instance, ""),
            (f"{row.times:,}", ""),
            (_local(row.first), ""),
            (_local(row.last), ""),
        )
        for row in rows
    ]
    return ("", "signature", *shown, "on", ">times", "first", "last"), cells


def _title(outages: Sequence[Outage]) -> str:
    """Summarise the outages of one family on one host, and the gaps between them."""
    host, family = outages[0].host, outages[0].family
    title = f"{family} on {printable(host) or 'unnamed host'}: {len(outages):,} outage{'s' if len(outages) > 1 else ''}"
    if len(ascending := gaps(outages)[host, family] if len(outages) > 1 else []) > 1:
        shortest, middle, longest = map(two_units, (ascending[0], ascending[len(ascending) // 2], ascending[-1]))
        title += f"; gaps {shortest} to {longest}, median {middle}"
    return title


def _outages(outages: Sequence[Outage]) -> Table:
    """Return headings and cells of the newest outages of one family on one host."""
    cells = [
        (
            (_SEVERITY[outage.severity], _STYLE[outage.severity]),
            (_local(outage.start), ""),
            (two_units(outage.end - outage.start), ""),
            ("" if outage.gap is None else two_units(outage.gap), ""),
            (f"{outage.faults:,}", ""),
            (", ".join(outage.instances[:3]), ""),
            (outage.ended_by or "expiry", ""),
        )
        for outage in outages[-MAX_ROWS:]
    ]
    return ("", "from", ">lasted", ">gap before", ">faults", "on", "ended by"), cells


def _more(out: Console, count: int, what: str) -> None:
    if count > 0:
        out.print(f"{count:,} more {what}: see --format json\n", style="dim")


def amount(count: float) -> str:
    """Return bytes in decimal units."""
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if count >= 1000:  # noqa: PLR2004
            count, unit = count / 1000, larger
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def _local(at: float | None) -> str:
    return "no time" if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")  # noqa: DTZ006 — the user's time zone


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
