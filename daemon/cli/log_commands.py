"""The flags of `vitald scan` and `vitald explain`. What they do is imported when they are called: `run` pays for nothing of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daemon import config as settings

if TYPE_CHECKING:
    import argparse


def add_scan(parser: argparse.ArgumentParser) -> None:
    """Declare what `vitald scan` takes."""
    parser.epilog = (
        "exit status: 0 no fault found, 1 faults found, 2 bad usage, or a file could not be read to its end. "
        "Times without a zone are taken to be this machine's; TZ=UTC changes that."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="plain, .gz, .xz, .bz2 or .zst, or `journalctl -o json`; - is stdin")
    parser.add_argument("--format", choices=["table", "json", "openmetrics"], default="table", help="(table)")
    parser.add_argument(
        "--year", type=int, metavar="YEAR", help="of a file's last line, where lines have none (the year the file was changed last)"
    )
    _add_packs(parser)


def add_explain(parser: argparse.ArgumentParser) -> None:
    """Declare what `vitald explain` takes."""
    parser.epilog = "exit status: 0 every line matched, 1 one did not, 2 bad usage"
    parser.add_argument("lines", nargs="+", metavar="LINE", help="a log line as it stands in the file, in quotes; - reads lines from stdin")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="(table)")
    _add_packs(parser)


def _add_packs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config.file",
        dest="config",
        type=Path,
        metavar="FILE",
        help=f"settings, for [logs] signature_dirs ({settings.DEFAULT_FILE}, if it is there)",
    )
    parser.add_argument(
        "--signatures", type=Path, action="append", default=[], metavar="DIR", help="one more directory of signature packs, repeatable"
    )


def scan(arguments: argparse.Namespace) -> int:
    """Run `vitald scan`."""
    from daemon.cli.scan import command as scan_command  # noqa: PLC0415

    return scan_command.run(arguments)


def explain(arguments: argparse.Namespace) -> int:
    """Run `vitald explain`."""
    from daemon.cli import explain as explain_command  # noqa: PLC0415

    return explain_command.run(arguments)
