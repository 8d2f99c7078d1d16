"""`vitald dashboard`: print the Grafana dashboard of this version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.cli import streams

if TYPE_CHECKING:
    import argparse

FILE = Path(__file__).parents[2] / "exporters/prometheus/dashboard.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flag."""
    parser.epilog = "example: vitald dashboard > vitald.json; then in Grafana: Dashboards, New, Import"
    text = "base URL of copies of the runbooks: alerts link to URL/NAME.md (default: they show the command vitald runbook NAME)"
    parser.add_argument("--runbooks.url", dest="runbooks", default="", metavar="URL", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Print the dashboard as JSON."""
    text = FILE.read_text("utf-8")
    streams.write_document(linked(text, arguments.runbooks.rstrip("/")) if arguments.runbooks else text)
    return 0


def linked(text: str, url: str) -> str:
    """Return the dashboard with the URL as the value of its variable `runbooks`, and a link on each table's column `runbook`."""
    dashboard: dict[str, Any] = json.loads(text)
    for variable in dashboard["templating"]["list"]:
        if variable["name"] == "runbooks":
            variable |= {"query": url, "current": {"text": url, "value": url}}
    link = {"title": "runbook", "url": "${__value.raw}", "targetBlank": True}
    column = {"matcher": {"id": "byName", "options": "runbook"}, "properties": [{"id": "links", "value": [link]}]}
    for panel in dashboard["panels"]:
        if any('"runbook"' in target["expr"] for target in panel.get("targets", ())):
            panel["fieldConfig"]["overrides"].append(column)
    return json.dumps(dashboard, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
