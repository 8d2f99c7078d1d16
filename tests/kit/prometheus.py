"""A real Prometheus: started in a network namespace, asked through its HTTP API."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

from tests.kit.prometheus_program import command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.network import Network

_CONFIG = """
global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 1s}
scrape_configs:
  - job_name: vitald
    static_configs: [{targets: ["127.0.0.1:19100"]}]
"""


class Prometheus:
    """Scrapes vitald twice a second, and answers questions about it."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network = network
        self._url = "http://127.0.0.1:9090"
        (folder / "prometheus.yml").write_text(_CONFIG)
        self._log = (folder / "log").open("wb")
        listen = self._url.removeprefix("http://")
        self._process = network.start(*command(folder, listen), stdout=self._log, stderr=subprocess.STDOUT)

    def query(self, expression: str) -> dict[tuple[str, ...], float]:
        """Return the present value of each series, by its label values in the order of their names; `instance` and `job` left out."""
        query = urllib.parse.urlencode({"query": expression})
        found = {}
        for series in self._get(f"/api/v1/query?{query}")["data"]["result"]:
            labels = {name: value for name, value in series["metric"].items() if name not in ("__name__", "instance", "job")}
            found[tuple(labels[name] for name in sorted(labels))] = float(series["value"][1])
        return found

    def wait_for(self, expression: str, seconds: float = 30) -> dict[tuple[str, ...], float]:
        """Wait until an expression with a comparison, like `up == 1`, holds for some series in a later scrape; return those."""
        deadline = time.monotonic() + seconds
        scraped_since = f"({expression}) and on() (timestamp(up) > {time.time()})"
        while True:
            try:
                if found := self.query(scraped_since):
                    return found
                error: object = "no series"
            except OSError as why:
                error = why
            assert time.monotonic() < deadline, f"{expression} did not come true within {seconds} s ({error})"
            time.sleep(0.2)

    def _get(self, path: str) -> Any:
        return json.loads(self._network.get(self._url + path))

    def close(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._log.close()
