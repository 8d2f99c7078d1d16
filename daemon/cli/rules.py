"""`vitald rules`: the Prometheus rules that belong to this version, as one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

FOLDER = Path(__file__).parents[2] / "exporters/prometheus/rules"
RUNBOOKS = "https://example.com/vitald/docs/runbooks"
"""Where the shipped rules say the runbooks are; nobody is there, so that nobody's private alerts ask a stranger's server."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Describe the flags."""
    command.epilog = "vitald rules > /etc/prometheus/rules/vitald.yml; the scrape job's name must begin with vitald"
    command.add_argument("--runbooks.url", dest="runbooks", default=RUNBOOKS, metavar="URL", help="where docs/runbooks is served to you")


def run(arguments: argparse.Namespace) -> int:
    """Print them."""
    sys.stdout.write(rules(arguments.runbooks))
    return 0


def rules(runbooks: str = RUNBOOKS) -> str:
    """Give all rule files as one: YAML text with a single `groups:`, recording rules first, as alerts are built on them."""
    files = sorted(FOLDER.glob("*.yml"), key=lambda file: (file.stem != "blame", file.stem))
    texts = [file.read_text().replace(f"{RUNBOOKS}/", f"{runbooks.rstrip('/')}/") for file in files]
    return "groups:\n" + "\n".join(text.replace("\ngroups:\n", "\n", 1) for text in texts)
