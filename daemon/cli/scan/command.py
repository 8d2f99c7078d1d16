"""`vitald scan`: years of old logs through the signature packs."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from collectors.logs.scan import archive, years
from collectors.logs.scan.history import EventHistory, EventKey
from collectors.logs.scan.parts import Event, divide
from collectors.model import BadInput
from daemon.cli import signatures
from daemon.cli.scan import report as scan_report
from daemon.cli.scan import workers as scan_workers
from daemon.cli.scan.report import Scan
from daemon.cli.scan.units import amount

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from rich.progress import Task
    from rich.text import Text

    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Packs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.epilog = (
        "exit status: 0 no fault found, 1 faults found, 2 bad usage or a file that could not be read completely. "
        "Times without a zone are local; TZ=UTC changes that."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="plain, .gz, .xz, .bz2 or .zst, or `journalctl -o json`; - is stdin")
    parser.add_argument("--format", choices=["table", "json", "openmetrics"], default="table", help="(default: %(default)s)")
    parser.add_argument(
        "--year", type=int, metavar="YEAR", help="year of a file's last line, for lines without one (default: year of the file's mtime)"
    )
    signatures.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Scan, and print what was found. Gives the exit status."""
    if arguments.year is not None and not 1970 <= arguments.year <= 9999:  # noqa: PLR2004 — what Unix time and datetime have
        msg = f"--year: must be from 1970 to 9999, not {arguments.year}"
        raise BadInput(msg)
    packs, matcher = signatures.load(arguments)
    found = scan(arguments.files, packs, matcher, arguments.year)
    outages = found.history.outages()
    if arguments.format == "table":
        scan_report.print_table(found, outages)
    elif arguments.format == "json":
        scan_report.print_json(found, outages)
    else:
        from daemon.cli.scan import openmetrics as scan_openmetrics  # noqa: PLC0415

        sys.stdout.writelines(scan_openmetrics.lines(found.history))
        if (untimed := found.history.untimed) == 1:
            found.problems.append("1 event has no time in its line and is left out")
        elif untimed:
            found.problems.append(f"{untimed} events have no time in their lines and are left out")
    for problem in found.problems:
        sys.stderr.write(f"vitald: {problem}\n")
    return 2 if found.problems else int(bool(outages) or any(row.severity in {"warning", "critical"} for row in found.history.rows()))


def scan(names: list[str], packs: Packs, matcher: Matcher, year: int | None = None) -> Scan:
    """Look through files, many at a time; a file that cannot be read is told in `problems`, and the others are read all the same."""
    found = Scan(packs, EventHistory(packs.by_id))
    begun = time.monotonic()
    kinds: list[tuple[str, archive.Kind]] = []
    for name in dict.fromkeys(names):
        try:
            kinds.append((name, archive.look(name)))
        except BadInput as error:
            found.problems.append(str(error))
    parts = list(divide(kinds))
    events: list[Event] = []
    looked = scan_workers.start(parts, matcher, scan_workers.processes())
    with _bar(sum(kind.size for _, kind in kinds) if all(kind.size or kind.at for _, kind in kinds) else 0) as progress:
        for number, (part, held) in enumerate(looked(progress)):
            events += held.events
            found.size += held.size
            if held.problem:
                found.problems.append(f"{part.name}: {held.problem}")
            if number + 1 == len(parts) or parts[number + 1].file != part.file:
                _place(found.history, events, _reference(kinds[part.file][1], year))
                events = []
    found.files = [name for name, _ in kinds]
    found.seconds = time.monotonic() - begun
    return found


def _reference(kind: archive.Kind, year: int | None) -> float:
    if year is not None:
        return datetime(year, 12, 31, 23, 59, 59).timestamp() - 86_400  # noqa: DTZ001 — the zone of lines that name none; a day's slack is theirs
    return kind.at if kind.at is not None else time.time()


def _place(history: EventHistory, events: list[Event], reference: float) -> None:
    """Put a file's events into the history, once all of it was read: its last line tells the years of those before."""
    texts = [event.at for event in events if isinstance(event.at, bytes)]
    placed = iter(years.place(texts, reference))
    for event in events:
        at = next(placed) if isinstance(event.at, bytes) else event.at
        if event.signature:
            history.add(EventKey(event.signature, event.host, event.instance), at, event.times)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """Give what is told of bytes read; on a terminal that is a progress bar with the rate."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    from rich import progress as parts  # noqa: PLC0415 — 6 MB, for terminals only
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Rate(parts.ProgressColumn):
        """Bytes a second since the start: parts end in bursts, and a rate that jumps tells nobody anything."""

        def render(self, task: Task) -> Text:
            rate = task.completed / task.elapsed if task.elapsed else 0.0
            return Text(f"{amount(rate)}/s", "progress.data.speed")

    class Amount(parts.ProgressColumn):
        """How much was read of what nobody knows the size of."""

        def render(self, task: Task) -> Text:
            return Text(amount(task.completed), "progress.download")

    known = [parts.BarColumn(), parts.TaskProgressColumn(), parts.DownloadColumn(), Rate(), parts.TimeRemainingColumn(compact=True)]
    columns = known if total else [parts.SpinnerColumn(), Amount(), Rate(), parts.TimeElapsedColumn()]
    with parts.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total or None)
        yield lambda count: bar.update(task, advance=count)
