"""Soak: the daemon under constant scrapes, reloads, log rotation, and targets and links that are added and removed.

Memory, descriptors, threads and series must stay constant. `make soak` runs it for half an hour, test_soak.py for a minute at the highest
pace.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.kit.network import Network
from tests.kit.peers import SCRAPE_HEADERS
from tests.kit.program import BenchError
from tests.soak.life import Life
from tests.soak.pace import Pace, Sample

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

ISSUE = 7
MOST_GROWTH = 512 << 10  # bytes in the second half; what one malloc arena may take when it likes
MOST_DESCRIPTORS, MOST_THREADS, MOST_SERIES = 4, 1, 0.02  # more at the end than at the beginning; of series, as a share
_MINUTES = float(os.environ.get("VITALD_BENCH_MINUTES", "30"))
_ROOT = Path(__file__).parents[2]
_OWN_SYSFS = 'mount -t sysfs sysfs /sys && exec "$@"'


class Soak:
    """The daemon in a network of its own, and what happens around it."""

    def __init__(self, folder: Path, pace: Pace) -> None:
        self._pace, self._folder = pace, folder
        self.network = Network()
        self.network.run("ip", "link", "set", "lo", "up")
        self.life = Life(self.network, folder)
        (folder / "state").mkdir()
        probe, _, others = pace.settings.partition("[")
        logs = f'files = ["{self.life.log}"]\njournal = "off"\nkmsg = "off"\n'
        others = f"[{others}{logs}" if others else f"[logs]\n{logs}"
        targets = f'targets = ["{self.life.lasting}"]\ntarget_files = ["{self.life.targets}"]\n'
        (folder / "vitald.toml").write_text(f"[probe]\n{targets}{probe}{others}")
        self._daemon = self._start()
        self._port = self._await_port()
        self._connection: http.client.HTTPConnection | None = None
        self._series = 0
        self.scrapes = 0

    def _start(self) -> subprocess.Popen[bytes]:
        flags = [f"--config.file={self._folder}/vitald.toml", f"--state.directory={self._folder}/state", "--web.listen-address=127.0.0.1:0"]
        daemon = [sys.executable, "-m", "daemon", "run", *flags]
        with (self._folder / "log").open("wb") as log:
            return self.network.start("unshare", "--mount", "sh", "-c", _OWN_SYSFS, "sh", *daemon, stdout=log, stderr=log, cwd=_ROOT)

    def _await_port(self) -> int:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"url=http://127\.0\.0\.1:(\d+)", (self._folder / "log").read_text())):
            if time.monotonic() > deadline or self._daemon.poll() is not None:
                raise BenchError("the daemon did not start: " + (self._folder / "log").read_text()[-300:])
            time.sleep(0.1)
        return int(found[1])

    def run(self, seconds: float) -> list[Sample]:
        """Run for that long; return the samples of the daemon."""
        pace, begin, samples = self._pace, time.monotonic(), list[Sample]()
        work: list[tuple[float, Callable[[], object]]] = [
            (pace.scrape, self._scrape),
            (pace.rotate, self.life.rotate),
            (pace.targets, self.life.change_targets),
            (pace.links, self.life.change_links),
            (pace.reload, lambda: self._daemon.send_signal(signal.SIGHUP)),
            (pace.sample, lambda: samples.append(self._sample(time.monotonic() - begin))),
        ]
        due = [begin + every for every, _ in work]
        while (now := time.monotonic()) < begin + seconds:
            self.life.write()
            for at, (every, act) in enumerate(work):
                if due[at] <= now:
                    due[at] = max(due[at] + every, now)
                    act()
            time.sleep(max(0.0, min(due) - time.monotonic()))
        return samples

    def _scrape(self) -> None:
        """Scrape as Prometheus does; at times over a new connection, and the status page too."""
        if self._connection is None or self.scrapes % 50 == 0:
            self.close_connection()
            self._connection = self.network.call(self._connect)
        self._get(self._connection, "/metrics", SCRAPE_HEADERS)
        self.scrapes += 1
        if self.scrapes % 20 == 0:
            self._get(self._connection, "/", {})
        if self.scrapes % 10 == 0:
            body = self._get(self._connection, "/metrics", {})
            self._series = sum(1 for line in body.splitlines() if line and not line.startswith(b"#"))

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        connection.connect()
        return connection

    def _get(self, connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bytes:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            msg = f"GET {path}: {answer.status}"
            raise BenchError(msg)
        return body

    def _sample(self, at: float) -> Sample:
        if self._daemon.poll() is not None:
            raise BenchError("the daemon ended: " + (self._folder / "log").read_text()[-300:])
        own = Path(f"/proc/{self._daemon.pid}")
        fields = dict(line.split(":\t") for line in (own / "status").read_text().splitlines() if ":\t" in line)
        return Sample(at, int(fields["VmRSS"].split()[0]) << 10, len(os.listdir(own / "fd")), int(fields["Threads"]), self._series)  # noqa: PTH208 — names only

    def close_connection(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_connection()
        self._daemon.terminate()
        self._daemon.wait(20)
        self.life.close()
        self.network.close()


def grown(samples: Sequence[Sample], name: str) -> float:
    """Return the growth from the first to the last quarter, median against median."""
    values = [getattr(sample, name) for sample in samples]
    quarter = max(1, len(values) // 4)
    return float(sorted(values[-quarter:])[quarter // 2] - sorted(values[:quarter])[quarter // 2])
