"""`vitald rules`: print the Prometheus rules of this version as one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

FOLDER = Path(__file__).parents[2] / "exporters/prometheus/rules"
RUNBOOKS = "https://example.com/vitald/docs/runbooks"
"""Runbook address in the shipped rules; example.com (RFC 2606), so that no alert links to a server that is not the operator's."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.epilog = "example: vitald rules > /etc/prometheus/rules/vitald.yml; the scrape job's name must begin with vitald"
    text = "base URL of docs/runbooks (default: %(default)s)"
    parser.add_argument("--runbooks.url", dest="runbooks", default=RUNBOOKS, metavar="URL", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Print the rules."""
    sys.stdout.write(rules(arguments.runbooks))
    return 0


def rules(runbooks: str = RUNBOOKS) -> str:
    """Return all rule files as one: YAML text with a single `groups:`, recording rules first, as alerts are built on them."""
    files = sorted(FOLDER.glob("*.yml"), key=lambda file: (file.stem != "blame", file.stem))
    texts = [file.read_text().replace(f"{RUNBOOKS}/", f"{runbooks.rstrip('/')}/") for file in files]
    return "groups:\n" + "\n".join(text.replace("\ngroups:\n", "\n", 1) for text in texts)
