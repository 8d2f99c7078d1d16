"""`vitald scan`: match old logs against the signature packs, and print events and outages."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from collectors.logs.scan import archive, years
from collectors.logs.scan.history import EventHistory, EventKey
from collectors.logs.scan.parts import ScanEvent, divide
from collectors.model import BadInput
from daemon.cli import signatures
from daemon.cli.scan import report, workers
from daemon.cli.scan.report import ScanResult, amount

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
    text = "year of a file's last line, for lines without one (default: year of the file's mtime)"
    parser.add_argument("--year", type=int, metavar="YEAR", help=text)
    signatures.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Scan, print the result and return the exit status."""
    if arguments.year is not None and not 1970 <= arguments.year <= 9999:  # noqa: PLR2004 — what Unix time and datetime have
        raise BadInput(f"--year: {arguments.year} is out of range; expected 1970 to 9999")
    packs, matcher = signatures.load(arguments)
    result = scan(arguments.files, packs, matcher, arguments.year)
    outages = result.history.outages()
    if arguments.format == "table":
        report.print_table(result, outages)
    elif arguments.format == "json":
        report.print_json(result, outages)
    else:
        from daemon.cli.scan import openmetrics  # noqa: PLC0415

        sys.stdout.writelines(openmetrics.lines(result.history))
        if result.history.untimed:
            result.problems.append(f"events without a time in their line are omitted: {result.history.untimed}")
    for problem in result.problems:
        sys.stderr.write(f"vitald: {problem}\n")
    return 2 if result.problems else int(bool(outages) or any(row.severity in {"warning", "critical"} for row in result.history.rows()))


def scan(names: list[str], packs: Packs, matcher: Matcher, year: int | None = None) -> ScanResult:
    """Scan files in parallel; a file that cannot be read is reported in `problems`, and the others are still read."""
    result = ScanResult(packs, EventHistory(packs.by_id))
    started = time.monotonic()
    files: list[tuple[str, archive.LogFile]] = []
    for name in dict.fromkeys(names):
        try:
            files.append((name, archive.inspect(name)))
        except BadInput as error:
            result.problems.append(str(error))
    parts = list(divide(files))
    events: list[ScanEvent] = []
    results = workers.start(parts, matcher, workers.processes())
    with _progress_bar(sum(file.size for _, file in files) if all(file.size or file.mtime for _, file in files) else 0) as progress:
        for number, (part, of_part) in enumerate(results(progress)):
            events += of_part.events
            result.size += of_part.size
            if of_part.problem:
                result.problems.append(f"{part.name}: {of_part.problem}")
            if number + 1 == len(parts) or parts[number + 1].file != part.file:
                _add_events(result.history, events, _reference(files[part.file][1], year))
                events = []
    result.files = [name for name, _ in files]
    result.seconds = time.monotonic() - started
    return result


def _reference(file: archive.LogFile, year: int | None) -> float:
    if year is not None:
        return datetime(year, 12, 31, 23, 59, 59).timestamp() - 86_400  # noqa: DTZ001 — the zone of lines without one; lines may be a day newer
    return file.mtime if file.mtime is not None else time.time()


def _add_events(history: EventHistory, events: list[ScanEvent], reference: float) -> None:
    """Add all events of a file, after it was read to its end, since the years are inferred backwards from its last line."""
    texts = [event.at for event in events if isinstance(event.at, bytes)]
    resolved = iter(years.resolve(texts, reference))
    for event in events:
        at = next(resolved) if isinstance(event.at, bytes) else event.at
        if event.signature:
            history.add(EventKey(event.signature, event.host, event.instance, event.alias), at, event.times)


@contextmanager
def _progress_bar(total: int) -> Iterator[Callable[[int], None]]:
    """Return a callback for the number of bytes read; on a terminal it draws a progress bar with the rate."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    from rich import progress as widgets  # noqa: PLC0415 — 6 MB, for terminals only
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Rate(widgets.ProgressColumn):
        """Mean rate since the start, since parts end in bursts."""

        def render(self, task: Task) -> Text:
            rate = task.completed / task.elapsed if task.elapsed else 0.0
            return Text(f"{amount(rate)}/s", "progress.data.speed")

    class Amount(widgets.ProgressColumn):
        """Bytes read, where the total is unknown."""

        def render(self, task: Task) -> Text:
            return Text(amount(task.completed), "progress.download")

    if total:
        left = widgets.TimeRemainingColumn(compact=True)
        columns = [widgets.BarColumn(), widgets.TaskProgressColumn(), widgets.DownloadColumn(), Rate(), left]
    else:
        columns = [widgets.SpinnerColumn(), Amount(), Rate(), widgets.TimeElapsedColumn()]
    with widgets.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total or None)
        yield lambda count: bar.update(task, advance=count)
