"""Queries of the dashboard, and a real Prometheus on loopback to run them."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Self

import yaml

from tests.kit.prometheus_program import command
from tests.kit.rulebook import ROOT, RULES, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LISTEN = "--web.listen-address=127.0.0.1:0"
DASHBOARD = ROOT / "exporters/prometheus/dashboard.json"
EMPTY_WHEN_HEALTHY = {  # panels without data on a healthy host although their metrics are exported
    "log events": "only signatures with events",
    "alerts that fire": "no alert fires",
    "annotation pages": "no alert fires",
    "annotation tickets": "no alert fires",
    "open faults in logs": "no fault is open",
    "collectors and log sources that cannot be read": "all can be read",
    "collector run time": "the second query: only runs that hang",
    "zone pairs: share of probes that fail": "requires hosts in two zones",
    "SYN loss by zone pair": "requires hosts in two zones",
    "probers: share of peers unreachable": "requires three peers",
}


def queries(instance: str) -> Iterator[tuple[str, str]]:
    """Return title and PromQL of every query, as Grafana sends it for one host."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], fill(target["expr"], instance=instance)
    for annotation in dashboard["annotations"]["list"]:
        yield f"annotation {annotation['name']}", fill(annotation["target"]["expr"], instance=instance)


def fill(expression: str, **values: str) -> str:
    """Replace the dashboard's variables; those that are not given have the values with which it is opened."""
    filled = {"job": "vitald.*", "zone": ".*", "runbooks": "", "__rate_interval": "1m", **values}
    text = re.sub(r"\$([a-z_]+)", lambda variable: filled.get(variable[1], variable[0]), expression)
    assert not re.search(r"\$\{?[a-z_]", text), f"{text} has an unknown variable"
    return text


class Server:
    """A Prometheus that scrapes the given agents and evaluates the shipped rules twice a second. `job`: more scrape settings."""

    def __init__(self, folder: Path, *instances: str, **job: Any) -> None:
        scraped = {"job_name": "vitald", "static_configs": [{"targets": list(instances)}], **job}
        short = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
        for file in RULES:
            document = load(file)
            groups = [{key: value for key, value in group.items() if key != "interval"} for group in document["groups"]]
            (folder / file.name).write_text(yaml.safe_dump({**document, "groups": groups}))
        (folder / "prometheus.yml").write_text(
            yaml.safe_dump({"global": short, "scrape_configs": [scraped], "rule_files": [str(folder / file.name) for file in RULES]})
        )
        self._log = (folder / "log").open("wb+")
        self._process = subprocess.Popen(command(folder), stderr=self._log)
        self._url = self._find(folder / "log")
        while True:
            with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(f"{self._url}/-/ready", timeout=10):
                break
            time.sleep(0.05)

    def _find(self, log: Path) -> str:
        """Return the URL with the port that the kernel chose, from the log."""
        deadline = time.monotonic() + 30
        while True:
            for line in log.read_text().splitlines():
                if 'msg="Listening on"' in line:
                    return "http://" + line.rpartition("address=")[2].strip()
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def ask(self, expression: str) -> list[Any]:
        """Return the series of an instant query. Raise AssertionError with Prometheus' message if it is rejected."""
        found: list[Any] = self._get(f"query?{urllib.parse.urlencode({'query': expression})}")["result"]
        return found

    def rules(self) -> list[Any]:
        """Return every rule with its health and last error."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str) -> Any:
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/{path}", timeout=10) as answer:
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()}") from None

    def wait_for(self, expression: str, seconds: float = 40) -> None:
        """Wait until a query returns a series."""
        deadline = time.monotonic() + seconds
        while not self.ask(expression):
            assert time.monotonic() < deadline, f"{expression} returned no series"
            time.sleep(0.2)
