"""The programs that the benches start: vitald, Prometheus and Debian's exporters, on ports of the kernel's choosing."""

from __future__ import annotations

import http.client
import json
import re
import sys
import sysconfig
import time
import urllib.parse
import venv
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.kit.program import BenchError, Program, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCRAPE_HEADERS = {  # what Prometheus 2.42 sends
    "Accept": "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "X-Prometheus-Scrape-Timeout-Seconds": "5",
}


@dataclass(frozen=True, slots=True)
class Served:
    """A program and the port of loopback where it answers."""

    program: Program
    port: int

    def get(self, path: str) -> str:
        """Fetch a page, plain."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
        except OSError as error:
            msg = f"{self.program.name}: GET {path}: {error}; {self.program.last_words()}"
            raise BenchError(msg) from None
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            msg = f"{self.program.name}: GET {path}: {answer.status} {body[:200]}"
            raise BenchError(msg)
        return body

    def series(self) -> list[str]:
        """Return the sample lines of its metrics page."""
        return [line for line in self.get("/metrics").splitlines() if line and not line.startswith("#")]

    def total(self, metric: str) -> float:
        """Sum a metric over all its series."""
        pattern = re.compile(rf"{re.escape(metric)}(?:\{{.*\}})? (\S+)")
        return sum(float(match[1]) for line in self.series() if (match := pattern.match(line)))


@contextmanager
def listeners(folder: Path, count: int) -> Iterator[list[str]]:
    """Open `count` targets; return them as `address:port`."""
    from tests.kit.listeners import addresses  # noqa: PLC0415 — a program of its own, otherwise

    port = free_port()
    argv = [sys.executable, str(Path(__file__).with_name("listeners.py")), str(count), str(port)]
    with Program("listeners", argv, folder) as program:
        program.wait_for(port, addresses(count)[-1])
        yield [f"{address}:{port}" for address in addresses(count)]


def _interpreter(folder: Path, tree: Path) -> Path:
    """Create a virtual environment with this one's libraries and vitald of `tree`: helper processes ignore PYTHONPATH."""
    venv.create(folder, symlinks=True)
    libraries = sysconfig.get_path("purelib")
    own = next(folder.glob("lib/*/site-packages"))
    (own / "tree.pth").write_text(f"{tree}\n{libraries}\n")
    return folder / "bin/python"


@contextmanager
def vitald(folder: Path, settings: str = "", *flags: str, name: str = "vitald", tree: Path | None = None) -> Iterator[Served]:
    """Run the daemon of this checkout, or of another source tree, with these settings (TOML)."""
    file, port = folder / f"{name}.toml", free_port()
    file.write_text(settings)
    (folder / f"{name}.state").mkdir()
    installed = str(Path(sys.executable).with_name("vitald"))
    command = [str(_interpreter(folder / f"{name}.venv", tree)), "-m", "daemon"] if tree else [installed]
    argv = [*command, "run", f"--config.file={file}", f"--web.listen-address=127.0.0.1:{port}", f"--state.directory={folder / name}.state"]
    with Program(name, [*argv, *flags], folder) as program:
        yield Served(program.wait_for(port), port)


@contextmanager
def node_exporter(folder: Path, *flags: str) -> Iterator[Served]:
    """Run Debian's node_exporter."""
    port = free_port()
    with Program("node_exporter", ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}", *flags], folder) as program:
        yield Served(program.wait_for(port), port)


@contextmanager
def blackbox(folder: Path) -> Iterator[Served]:
    """Run Debian's blackbox_exporter with one module, `tcp_connect`."""
    file, port = folder / "blackbox.yml", free_port()
    file.write_text("modules: {tcp_connect: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4}}}\n")
    argv = ["prometheus-blackbox-exporter", f"--config.file={file}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with Program("blackbox", argv, folder) as program:
        yield Served(program.wait_for(port), port)


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A real Prometheus and its query API."""

    served: Served

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the result of an instant query: vectors and ranges as the API has them."""
        words = urllib.parse.urlencode({"query": expression, "time": at if at is not None else time.time()})
        found: list[dict[str, Any]] = json.loads(self.served.get(f"/api/v1/query?{words}"))["data"]["result"]
        return found

    def number(self, expression: str, at: float | None = None) -> float:
        """Return the one number of an instant query."""
        found = self.query(expression, at)
        if len(found) != 1:
            msg = f"prometheus: {expression} has {len(found)} results, one was expected"
            raise BenchError(msg)
        return float(found[0]["value"][1])


def scrape_job(name: str, served: Sequence[Served], interval: str = "5s") -> dict[str, Any]:
    """Configure a plain scrape."""
    targets = [f"127.0.0.1:{one.port}" for one in served]
    return {"job_name": name, "scrape_interval": interval, "scrape_timeout": interval, "static_configs": [{"targets": targets}]}


def probe_job(through: Served, targets: Sequence[str], interval: str = "1s") -> dict[str, Any]:
    """Configure probes through a blackbox_exporter, the way its README does."""
    return {
        "job_name": "blackbox",
        "scrape_interval": interval,
        "scrape_timeout": interval,
        "metrics_path": "/probe",
        "params": {"module": ["tcp_connect"]},
        "static_configs": [{"targets": list(targets)}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": f"127.0.0.1:{through.port}"},
        ],
    }


@contextmanager
def prometheus(folder: Path, *jobs: dict[str, Any]) -> Iterator[Prometheus]:
    """Run Debian's Prometheus with these scrape jobs."""
    file, port = folder / "prometheus.yml", free_port()
    file.write_text(json.dumps({"scrape_configs": list(jobs)}))  # JSON is YAML
    argv = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
    with Program("prometheus", [*argv, "--log.level=warn", "--query.max-samples=100000000"], folder) as program:
        yield Prometheus(Served(program.wait_for(port), port))
