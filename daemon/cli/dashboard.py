"""`vitald dashboard`: the Grafana dashboard that belongs to this version."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

FILE = Path(__file__).parents[2] / "exporters/prometheus/dashboard.json"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Describe the flags: there are none."""
    command.epilog = "vitald dashboard > vitald.json; then in Grafana: Dashboards, New, Import"


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001 — every command's signature
    """Print it."""
    sys.stdout.write(FILE.read_text())
    return 0
