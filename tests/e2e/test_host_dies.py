"""A real agent dies while an alert of it fires in a real Prometheus with the shipped rules; it comes back, and the fault heals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from daemon.cli.rules import rules
from tests.kit.prometheus_program import command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.needs("prometheus"), pytest.mark.fault(147)]

ROOT = Path(__file__).parents[2]
FIRING = 'ALERTS{alertname="DhcpClientFailing",alertstate="firing"}'


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Lab:
    """An agent that reads one log file, and the Prometheus that scrapes it twice a second and evaluates the rules each second."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._agent, self._monitoring = folder, free_port(), free_port()
        self._log = folder / "syslog"
        self._log.touch()
        (folder / "state").mkdir()
        (folder / "vitald.toml").write_text(f'[logs]\nkmsg = "off"\njournal = "off"\nfiles = ["{self._log}"]\ninterval = "1s"\n')
        (folder / "rules.yml").write_text(rules())
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
            "rule_files": [str(folder / "rules.yml")],
            "scrape_configs": [{"job_name": "vitald", "static_configs": [{"targets": [f"127.0.0.1:{self._agent}"]}]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        self._prometheus = self._start(*command(folder, f"127.0.0.1:{self._monitoring}"), log="prometheus.log")
        self.start()

    def _start(self, *words: str, log: str) -> subprocess.Popen[bytes]:
        output = (self._folder / log).open("ab")
        return subprocess.Popen(words, stdout=output, stderr=output, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})

    def start(self) -> None:
        """Start the agent."""
        own = [f"--config.file={self._folder}/vitald.toml", f"--state.directory={self._folder}/state"]
        flags = [f"--web.listen-address=127.0.0.1:{self._agent}", "--collector.disable-defaults", "--collector.logs"]
        self._daemon = self._start(sys.executable, "-m", "daemon", "run", *own, *flags, log="vitald.log")

    def die(self) -> None:
        """Kill the agent, as a host that dies does: without a last word."""
        self._daemon.send_signal(signal.SIGKILL)
        self._daemon.wait(20)

    def write(self, message: str) -> None:
        """Append a line of dhclient to the log."""
        with self._log.open("a") as log:
            log.write(f"{time.strftime('%b %d %H:%M:%S')} host dhclient[812]: {message}\n")

    def ask(self, expression: str) -> list[Any]:
        """Return the series of a query; none while Prometheus starts."""
        query = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._monitoring}/api/v1/query?{query}", timeout=10) as answer:
                found: list[Any] = json.load(answer)["data"]["result"]
                return found
        except OSError:
            return []

    def wait_for(self, is_true: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 90
        while not is_true():
            assert time.monotonic() < deadline, f"{what}: {(self._folder / 'vitald.log').read_text()[-3000:]}"
            time.sleep(0.25)

    def close(self) -> None:
        for process in (self._daemon, self._prometheus):
            process.kill()
            process.wait(20)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.close()


def test_an_alert_outlives_the_agent_and_ends_with_the_fault(lab: Lab) -> None:
    lab.wait_for(lambda: lab.ask('vitald_health{check="dhcp_log"} == 0'), "the first verdict")
    lab.write("No DHCPOFFERS received.")
    lab.wait_for(lambda: lab.ask(FIRING), "the alert")
    (alert,) = lab.ask(FIRING)
    assert alert["metric"]["unit"] == "dhclient"
    assert alert["metric"]["meaning"].startswith("dhclient received no DHCPOFFER")

    lab.die()
    lab.wait_for(lambda: lab.ask("up == 0"), "the end of the scrapes")
    lab.wait_for(lambda: not lab.ask("vitald_health"), "the end of the series")
    evaluated = 'timestamp(ALERTS{alertname="DhcpClientFailing"})'
    first = float(lab.ask(evaluated)[0]["value"][1])
    lab.wait_for(lambda: float(lab.ask(evaluated)[0]["value"][1]) > first + 10, "ten evaluations, with the alert in each of them")
    assert [each["metric"] for each in lab.ask(FIRING)] == [alert["metric"]]

    lab.start()
    lab.wait_for(lambda: lab.ask('vitald_health{check="dhcp_log"} == 2'), "the fault after the restart")
    assert [each["metric"] for each in lab.ask(FIRING)] == [alert["metric"]]
    lab.write("bound to 10.0.0.5 -- renewal in 1432 seconds.")
    lab.wait_for(lambda: lab.ask('vitald_health{check="dhcp_log"} == 0'), "the end of the fault")
    lab.wait_for(lambda: not lab.ask(FIRING), "the end of the alert")
    assert not lab.ask('changes(ALERTS_FOR_STATE{alertname="DhcpClientFailing"}[10m]) > 0')  # one alert from the beginning to the end
