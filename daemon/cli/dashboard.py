"""`vitald dashboard`: print the Grafana dashboard of this version."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

FILE = Path(__file__).parents[2] / "exporters/prometheus/dashboard.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Set the epilog; there are no flags."""
    parser.epilog = "example: vitald dashboard > vitald.json; then in Grafana: Dashboards, New, Import"


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001 — every command's signature
    """Print the dashboard as JSON."""
    sys.stdout.write(FILE.read_text())
    return 0
