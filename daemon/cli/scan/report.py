"""What `vitald scan` prints: a table for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from collectors.logs.scan.history import gaps
from collectors.text import printable, two_units
from daemon.cli.scan.units import amount, day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from collectors.logs.matching.packs import Packs
    from collectors.logs.scan.history import EventHistory, EventRow, Outage

MOST_ROWS = 60  # of each table; JSON has all of them
MOST_TRACKS = 20  # hosts and families
_WIDE = 110  # columns
_WORD = {"critical": "CRIT", "warning": "WARN", "info": "info", "recovery": "good"}
_STYLE = {"critical": "bold red", "warning": "yellow", "info": "", "recovery": "green"}


@dataclass
class Scan:
    """What was looked through, and what was found in it. `problems` are whole sentences, a file each."""

    packs: Packs
    history: EventHistory
    files: list[str] = field(default_factory=list)
    size: int = 0  # bytes of text
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def print_json(scan: Scan, outages: Sequence[Outage]) -> None:
    """Write everything as one JSON document. Times are ISO 8601 in UTC, durations seconds."""
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


def print_table(scan: Scan, outages: Sequence[Outage]) -> None:
    """Print what happened, the outages with the gaps between them, and what the faults mean."""
    from rich.console import Console  # noqa: PLC0415 — 6 MB that `run` must not pay

    console = Console(highlight=False)
    rows = scan.history.rows()
    if rows:
        hosts = {row.key.host for row in rows}
        console.print(_text("What happened" + (f" on {hosts.pop()}" if len(hosts) == 1 and hosts != {""} else ""), "bold"))
        console.print(_happened(rows[:MOST_ROWS], wide=console.width >= _WIDE))
        _more(console, len(rows) - MOST_ROWS, "rows")
        console.print()
    tracks: dict[tuple[str, str], list[Outage]] = {}
    for outage in outages:
        tracks.setdefault((outage.host, outage.family), []).append(outage)
    for track in sorted(tracks.values(), key=len, reverse=True)[:MOST_TRACKS]:
        console.print(_text(_title(track), "bold"))
        console.print(_outages(track))
        _more(console, len(track) - MOST_ROWS, "earlier outages")
        console.print()
    _more(console, len(tracks) - MOST_TRACKS, "hosts and families with outages")
    for identity in dict.fromkeys(row.key.signature for row in rows if row.severity in {"critical", "warning"}):
        signature = scan.packs.by_id[identity]
        console.print(_meaning(identity, signature.meaning, signature.remediation, _STYLE[signature.severity]))
    read = f"{amount(scan.size)} in {len(scan.files)} {'file' if len(scan.files) == 1 else 'files'}"
    rate = f", {scan.seconds:.1f} s, {amount(scan.size / scan.seconds)}/s" if scan.seconds else ""
    console.print(f"\n{read}{rate}" if rows else f"nothing found: {read}{rate}", style="dim")


def _happened(rows: Sequence[EventRow], *, wide: bool) -> Table:
    """Lay the rows out so that 80 columns are enough: there, first and last time stand one above the other."""
    shown = ("host",) if len({row.key.host for row in rows}) > 1 else ()
    table = _table("", "signature", *shown, "on", ">times", *(("first", "last") if wide else ("first, last",)))
    for row in rows:
        style = _STYLE[row.severity]
        seen = list(dict.fromkeys((day(row.first), day(row.last))))
        times = (seen[0], seen[-1]) if wide else ("\n".join(seen),)
        who = ([_text(row.key.host)] if shown else []) + [_text(row.key.instance)]
        table.add_row(_text(_WORD[row.severity], style), _text(row.key.signature, style), *who, f"{row.times:,}", *times)
    return table


def _title(outages: Sequence[Outage]) -> str:
    """Sum up the outages of one family on one host, and the gaps between them."""
    host, family = outages[0].host, outages[0].family
    told = f"{family} on {printable(host) or 'a host without a name'}: {len(outages):,} outage{'s' if len(outages) > 1 else ''}"
    if len(found := gaps(outages)[host, family] if len(outages) > 1 else []) > 1:
        shortest, middle, longest = (two_units(one) for one in (found[0], found[len(found) // 2], found[-1]))
        told += f"; gaps {shortest} to {longest}, median {middle}"
    return told


def _outages(outages: Sequence[Outage]) -> Table:
    """Lay out the newest outages of one family on one host."""
    table = _table("", "from", ">lasted", ">gap before", ">faults", "on", "ended by")
    for outage in outages[-MOST_ROWS:]:
        gap = "" if outage.gap is None else two_units(outage.gap)
        table.add_row(
            _text(_WORD[outage.severity], _STYLE[outage.severity]),
            day(outage.start),
            two_units(outage.end - outage.start),
            gap,
            f"{outage.faults:,}",
            _text(", ".join(outage.instances[:3])),
            outage.ended_by or "silence",
        )
    return table


def _table(*columns: str) -> Table:
    from rich.box import HORIZONTALS  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=HORIZONTALS, pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        right = name.startswith(">")
        whole = right or name in {"", "signature", "first", "last", "first, last", "from"}  # never broken into pieces
        table.add_column(name.lstrip(">"), justify="right" if right else "left", no_wrap=whole, overflow="fold")
    return table


def _meaning(identity: str, meaning: str, remediation: str, style: str) -> Table:
    from rich.table import Table  # noqa: PLC0415

    grid = Table.grid(padding=(0, 1))
    grid.add_row(_text(identity, style))
    for label, words in (("means", meaning), ("do", remediation)):
        if words:
            line = Table.grid(padding=(0, 1))
            line.add_row(_text(f"  {label:<5}", "dim"), _text(words))
            grid.add_row(line)
    return grid


def _more(console: Console, count: int, what: str) -> None:
    if count > 0:
        console.print(f"{count:,} more {what}: --format json has them all\n", style="dim")


def _text(words: str, style: str = "") -> Text:
    from rich.text import Text  # noqa: PLC0415

    return Text(printable(words), style, overflow="fold")


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
