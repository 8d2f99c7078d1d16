"""Monitoring of the drills' fleet: one Prometheus with the shipped rules, one Alertmanager with the shipped example, and a pager."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
import urllib.parse
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import yaml

from daemon.cli.rules import rules
from tests.drills.lab import ROOT
from tests.kit.program import BenchError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.drills.lab import Lab

PROMETHEUS, ALERTMANAGER, PAGER = 9090, 9093, 9095


@dataclass(frozen=True)
class Notice:
    """What reached a person: when, on the pager or as a ticket, of which incident (Alertmanager's group), and whether it is over."""

    at: float
    receiver: str
    group: str
    alert: str
    host: str
    resolved: bool
    summary: str


class Pager:
    """The webhook behind both receivers; what it was told, in order."""

    def __init__(self, lab: Lab) -> None:
        self.notices: list[Notice] = []
        pager = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                pager.take(self.path.strip("/"), body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        listener = lab.hub.call(socket.create_server, ("127.0.0.1", PAGER))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", PAGER), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listener
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, receiver: str, body: dict[str, Any]) -> None:
        """Note what one call says: a line for each alert that is new, or newly over."""
        for alert in body["alerts"]:
            labels, over = alert["labels"], alert["status"] == "resolved"
            summary = alert["annotations"].get("summary", "")
            notice = Notice(time.time(), receiver, body["groupKey"], labels["alertname"], labels.get("host", ""), over, summary)
            last = next((old for old in reversed(self.notices) if old.summary == notice.summary and old.alert == notice.alert), None)
            if last is None or last.resolved != over:
                self.notices.append(notice)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class Watch:
    """Prometheus, Alertmanager and pager in the router's namespace."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._stack = lab, ExitStack()
        self.pager = Pager(lab)
        self._stack.callback(self.pager.close)
        folder = lab.folder / "watch"
        folder.mkdir()
        (folder / "vitald.yml").write_text(rules())
        (folder / "prometheus.yml").write_text(yaml.safe_dump(self._configuration(folder)))
        self._start(folder, "prometheus", "--storage.tsdb.path", f"--web.listen-address=127.0.0.1:{PROMETHEUS}", folder / "prometheus.yml")
        listen = f"--web.listen-address=127.0.0.1:{ALERTMANAGER}"
        self._start(
            folder, "prometheus-alertmanager", "--storage.path", listen, ROOT / "docs/alertmanager.yml", "--cluster.listen-address="
        )

    def _configuration(self, folder: Path) -> dict[str, Any]:
        """Scrape as docs/prometheus.yml does, from a list instead of EC2."""
        shipped = yaml.safe_load((ROOT / "docs/prometheus.yml").read_text())
        hosts = [{"targets": [host.instance], "labels": {"zone": host.zone}} for host in self._lab.hosts.values()]
        return {
            "global": shipped["global"],
            "alerting": shipped["alerting"],
            "rule_files": [str(folder / "vitald.yml")],
            "scrape_configs": [{"job_name": "vitald", "static_configs": hosts}],
        }

    def _start(self, folder: Path, program: str, storage: str, listen: str, config: Path, *more: str) -> None:
        log = (folder / f"{program}.log").open("wb")
        process = self._lab.hub.start(
            program, f"--config.file={config}", f"{storage}={folder / program}", listen, *more, stdout=log, stderr=log, cwd=folder
        )
        self._stack.callback(log.close)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)

    def ask(self, expression: str) -> list[Any]:
        """Return the series of an instant query; none while Prometheus is not up."""
        try:
            answer = self._lab.hub.get(f"http://127.0.0.1:{PROMETHEUS}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        except OSError:
            return []
        found: list[Any] = json.loads(answer)["data"]["result"]
        return found

    def firing(self) -> list[str]:
        """Return the firing alerts with their labels."""
        return sorted(f"{s['metric']['alertname']} {s['metric'].get('host', '')}" for s in self.ask('ALERTS{alertstate="firing"}'))

    def wait_for(self, expression: str, seconds: float, every: float = 1.0) -> None:
        """Wait until a query has an answer; BenchError says what fires instead."""
        deadline = time.monotonic() + seconds
        while not self.ask(expression):
            if time.monotonic() > deadline:
                msg = f"{expression} did not come true within {seconds:.0f} s; firing: {', '.join(self.firing()) or 'nothing'}"
                raise BenchError(msg)
            time.sleep(every)

    def settle(self) -> None:
        """Wait until every agent has been scraped for two minutes, as long as the quick windows of the rules are, and no alert is near."""
        full = "count(vitald_probe_attempts_total offset 2m) > 0"
        self.wait_for(f"count(up == 1) == {len(self._lab.hosts)} and on () ({full}) unless on () ALERTS", 300)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
