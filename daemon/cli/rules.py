"""`vitald rules`: print the Prometheus rules of this version as one file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.cli import streams

if TYPE_CHECKING:
    import argparse

FOLDER = Path(__file__).parents[2] / "exporters/prometheus/rules"

_RUNBOOK = re.compile(r"^( +)runbook: vitald runbook (\w+)$", re.MULTILINE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.epilog = "example: vitald rules > /etc/prometheus/rules/vitald.yml; the scrape job's name must begin with vitald"
    text = "base URL of copies of the runbooks: each alert gets runbook_url, URL/NAME.md (default: `vitald runbook NAME` only)"
    parser.add_argument("--runbooks.url", dest="runbooks", default="", metavar="URL", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Print the rules."""
    streams.write_document(rules(arguments.runbooks))
    return 0


def rules(runbooks: str = "") -> str:
    """Return all rule files as one: YAML text with a single `groups:`, recording rules first, as alerts are built on them."""
    files = sorted(FOLDER.glob("*.yml"), key=lambda file: (file.stem != "blame", file.stem))
    texts = [file.read_text("utf-8") for file in files]
    if runbooks:
        url = runbooks.rstrip("/")
        texts = [
            _RUNBOOK.sub(lambda found: f"{found.group()}\n{found.group(1)}runbook_url: {url}/{found.group(2)}.md", text) for text in texts
        ]
    return "groups:\n" + "\n".join(text.replace("\ngroups:\n", "\n", 1) for text in texts)
