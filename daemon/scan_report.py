"""What `vitald scan` prints: a table for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from collectors.logs.history import gaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from collectors.logs.history import Outage, Row
    from daemon.scan_command import Scan

MOST_ROWS = 60  # of each table; JSON has all of them
_WIDE = 110  # columns
_WORD = {"critical": "CRIT", "warning": "WARN", "info": "info", "recovery": "good"}
_STYLE = {"critical": "bold red", "warning": "yellow", "info": "", "recovery": "green"}


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
                "mend": scan.packs.by_id[row.key.signature].mend,
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
                "ended_by": outage.ended or None,
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
        console.print(_happened(rows[:MOST_ROWS], wide=console.width >= _WIDE))
        _more(console, len(rows) - MOST_ROWS, "rows")
    if outages:
        console.print(_outages(outages[-MOST_ROWS:]))
        _more(console, len(outages) - MOST_ROWS, "earlier outages")
        for words in _gaps(outages):
            console.print(plain(words), markup=False)
        console.print()
    for identity in dict.fromkeys(row.key.signature for row in rows if row.severity in {"critical", "warning"}):
        signature = scan.packs.by_id[identity]
        console.print(_meaning(identity, signature.meaning, signature.mend, _STYLE[signature.severity]))
    read = f"{amount(scan.size)} in {len(scan.files)} {'file' if len(scan.files) == 1 else 'files'}"
    rate = f", {scan.seconds:.1f} s, {amount(scan.size / scan.seconds)}/s" if scan.seconds else ""
    console.print(f"\n{read}{rate}" if rows else f"nothing found: {read}{rate}", style="dim")


def _happened(rows: Iterable[Row], *, wide: bool) -> Table:
    """Lay the rows out so that 80 columns are enough: there, first and last time stand one above the other."""
    table = _table("What happened", "", "signature", "host", "on", ">times", *(("first", "last") if wide else ("first, last",)))
    for row in rows:
        style = _STYLE[row.severity]
        seen = list(dict.fromkeys((_day(row.first), _day(row.last))))
        times = (seen[0], seen[-1]) if wide else ("\n".join(seen),)
        who = (_text(row.key.host), _text(row.key.instance))
        table.add_row(_text(_WORD[row.severity], style), _text(row.key.signature, style), *who, f"{row.times:,}", *times)
    return table


def _outages(outages: Iterable[Outage]) -> Table:
    table = _table("Outages", "", "host", "family", "on", "from", ">lasted", ">after", ">faults", "ended by")
    for outage in outages:
        style = _STYLE[outage.severity]
        lasted = duration(outage.end - outage.start)
        gap = "" if outage.gap is None else duration(outage.gap)
        about = (_text(outage.host), outage.family, _text(", ".join(outage.instances[:3])))
        table.add_row(
            _text(_WORD[outage.severity], style), *about, _day(outage.start), lasted, gap, f"{outage.faults:,}", outage.ended or "silence"
        )
    return table


def _gaps(outages: Sequence[Outage]) -> Iterable[str]:
    """Sum up the gaps of each host and family that had several."""
    for (host, family), found in sorted(gaps(outages).items()):
        if len(found) > 1:
            shortest, middle, longest = (duration(one) for one in (found[0], found[len(found) // 2], found[-1]))
            yield f"{host or 'unnamed host'}, {family}: {len(found) + 1} outages; gaps {shortest} to {longest}, median {middle}"


def _table(title: str, *columns: str) -> Table:
    from rich.box import HORIZONTALS  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=title, title_justify="left", title_style="bold", box=HORIZONTALS, pad_edge=False)
    for name in columns:
        right = name.startswith(">")
        whole = right or name in {"", "signature", "family", "first", "last", "first, last", "from"}  # never broken into pieces
        table.add_column(name.lstrip(">"), justify="right" if right else "left", no_wrap=whole, overflow="fold")
    return table


def _meaning(identity: str, meaning: str, mend: str, style: str) -> Table:
    from rich.table import Table  # noqa: PLC0415

    grid = Table.grid(padding=(0, 1))
    grid.add_row(_text(identity, style))
    for label, words in (("means", meaning), ("do", mend)):
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

    return Text(plain(words), style, overflow="fold")


def plain(text: str) -> str:
    """Keep terminals safe from what a log may hold."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def duration(seconds: float) -> str:
    """Write a time span as people say it, its two largest units."""
    left = round(seconds)
    sign, left = ("-", -left) if left < 0 else ("", left)
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + " ".join(parts[:2] or ["0s"])


def amount(count: float) -> str:
    """Write bytes in decimal units, as disks and networks are sold."""
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if count >= 1000:  # noqa: PLR2004
            count, unit = count / 1000, larger
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def _day(at: float | None) -> str:
    return "no time" if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")  # noqa: DTZ006 — people read local time


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
