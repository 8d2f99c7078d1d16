"""`vitald runbook`: print the runbook of an alert, or the list of them."""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.model import BadInput

if TYPE_CHECKING:
    import argparse

FOLDER = Path(__file__).parents[2] / "exporters/prometheus/rules/runbooks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the argument."""
    parser.epilog = "example: vitald runbook StorageFailing | less"
    parser.add_argument("name", nargs="?", metavar="NAME", help="name of the alert, in upper or lower case (default: list all of them)")


def run(arguments: argparse.Namespace) -> int:
    """Print a runbook as Markdown, or a line for each."""
    sys.stdout.write(listing() if arguments.name is None else text(arguments.name))
    return 0


def listing() -> str:
    """Return a line for each runbook: the alert's name and its summary, without Markdown."""
    files = sorted(FOLDER.glob("*.md"))
    width = max(len(file.stem) for file in files)
    return "".join(f"{file.stem:{width}}  {_summary(file.read_text('utf-8'))}\n" for file in files)


def text(name: str) -> str:
    """Return the runbook of an alert; BadInput if there is none, with the names that are close."""
    files = {file.stem.lower(): file for file in FOLDER.glob("*.md")}
    wanted = name.removesuffix(".md").lower()
    if file := files.get(wanted):
        return file.read_text("utf-8")
    close = [files[match].stem for match in difflib.get_close_matches(wanted, files, n=3, cutoff=0.6)]
    hint = f"did you mean {' or '.join(close)}?" if close else "`vitald runbook` lists them"
    msg = f"runbook {name}: there is no such runbook; {hint}"
    raise BadInput(msg)


def _summary(runbook: str) -> str:
    found = re.search(r"^\*(.+?)\*", runbook, flags=re.MULTILINE)
    return found.group(1) if found else ""
