"""A `vitald run` in a process of its own, as tests use it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 30.0  # seconds; the machine is shared


class Vitald:
    """The daemon, its port, its log, and a notify socket in place of systemd's."""

    def __init__(self, folder: Path, *flags: str, **popen: Any) -> None:
        self.folder = folder
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(folder / "notify"))
        self.manager.settimeout(PATIENCE)
        self.status = ""
        self.config = folder / "vitald.toml"
        self.config.touch()
        self.stderr = folder / "stderr"
        env = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), **popen.pop("env", {})}
        command = [sys.executable, "-m", "daemon", "run", "--config.file", str(self.config)]
        with self.stderr.open("wb") as stderr:
            command += ["--state.directory", str(folder / "state")]
            self.process = subprocess.Popen(
                [*command, "--web.listen-address", "127.0.0.1:0", *flags], stderr=stderr, env=env, cwd=Path(__file__).parents[2], **popen
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self.manager.close()

    def hears(self, word: str) -> str:
        """Wait for an sd_notify message that starts with `word`; the newest status that another wait passed over counts, once."""
        if word.startswith("STATUS=") and self.status:
            said, self.status = self.status, ""
            return said
        while not (said := self.manager.recv(4096).decode()).startswith(word):
            if said.startswith("STATUS="):
                self.status = said
        return said

    def ready(self) -> Vitald:
        """Wait for READY=1."""
        self.hears("READY=1")
        return self

    @property
    def log(self) -> str:
        """Everything said on stderr so far."""
        return self.stderr.read_text()

    @property
    def url(self) -> str:
        """Where the metrics are."""
        found = re.search(r"url=(\S+)/metrics", self.log)
        assert found, self.log
        return found[1]

    def get(self, path: str = "/metrics") -> str:
        """Scrape."""
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
            text: str = answer.read().decode()
            return text

    def metric(self, series: str) -> float | None:
        """Return the value of one series, as the exposition writes it."""
        for line in self.get().splitlines():
            if line.startswith(series + " "):
                return float(line.split()[-1])
        return None

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain; the daemon said:\n{self.log}"
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log}"
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self) -> tuple[int, float]:
        """Send SIGTERM; return the exit status and the seconds it took."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        return self.process.wait(PATIENCE), time.monotonic() - began


Launch = Callable[..., Vitald]


@contextmanager
def hanging_probe(folder: Path) -> Iterator[tuple[str, ...]]:
    """Make flags for a daemon whose first sweep never ends: a target times out, and the file it then looks into never answers."""
    netfilter = folder / "proc/sys/net/netfilter"
    netfilter.mkdir(parents=True)
    os.mkfifo(netfilter / "nf_conntrack_count")
    boot_id = folder / "proc/sys/kernel/random/boot_id"  # of this boot: the procfs of another host has nobody who probes
    boot_id.parent.mkdir(parents=True)
    boot_id.write_bytes(Path("/proc/sys/kernel/random/boot_id").read_bytes())
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first, socket.socket() as second:
        for client in (first, second):  # the accept queue of one is full from now on: further SYNs get no answer
            client.setblocking(False)  # noqa: FBT003 — its only argument
            client.connect_ex(full.getsockname())
        target = f"127.0.0.1:{full.getsockname()[1]}"
        (folder / "hanging.toml").write_text(f'[probe]\ntargets = ["{target}"]\ninterval = "500ms"\ntimeout = "200ms"\n')
        yield "--config.file", str(folder / "hanging.toml"), "--path.procfs", str(folder / "proc")
