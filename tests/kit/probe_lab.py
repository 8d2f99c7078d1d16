"""Two hosts on one link, in network namespaces, and the probe collector on one of them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RUN_SWEEPS, RUN_PATH_MTU = str(HERE / "run_sweeps.py"), str(HERE / "run_path_mtu.py")
_numbers = itertools.count()


@dataclass
class Lab:
    """`near` probes, `far` is probed (10.77.1.1, fd77::1 and 10.77.1.2, fd77::2); what runs in them ends with the test."""

    near: str
    far: str
    folder: Path
    _running: list[subprocess.Popen[Any]] = field(default_factory=list)

    def ip(self, *words: str) -> None:
        run("ip", *words)

    def inside(self, where: str, *words: str) -> str:
        return run("ip", "netns", "exec", where, *words)

    def nft(self, where: str, rules: str) -> None:
        run("ip", "netns", "exec", where, "nft", "-f", "-", stdin=rules)

    def start(self, where: str, *words: str, ready: str) -> subprocess.Popen[str]:
        """Start a program and wait until it has printed `ready`."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", where, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment()
        )
        self._running.append(process)
        assert process.stdout is not None
        output = []
        for line in process.stdout:
            output.append(line)
            if ready in line:
                return process
        raise AssertionError("".join(output))

    def serve(self, where: str, *ports: str) -> None:
        """Listen: "80" answers, "80:full" has a full accept queue, "80:silent" accepts and sends nothing, "80:talks" sends data at once."""
        self.start(where, sys.executable, str(HERE / "tcp_servers.py"), *ports, ready="ready")

    def sweep(self, *targets: str, sweeps: int = 1, interval: str = "2s", timeout: str = "1300ms", **more: Any) -> list[dict[str, Any]]:
        """Run the collector on `near`; return for each sweep the state of each target."""
        settings = {"targets": targets, "interval": interval, "timeout": timeout, **more.pop("settings", {})}
        order = {"settings": settings, "sweeps": sweeps, **more}
        output = self.inside(self.near, sys.executable, RUN_SWEEPS, json.dumps(order))
        return [json.loads(line) for line in output.splitlines()]

    def close(self) -> None:
        for process in self._running:
            process.terminate()
            process.wait()
            if process.stdout:
                process.stdout.close()
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", name], check=False)
            shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)


def run(*words: str, stdin: str = "") -> str:
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, env=_environment(), timeout=60)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}{done.stdout}"
    return done.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "PYTHONPATH": str(ROOT)}


@contextmanager
def link(folder: Path) -> Iterator[Lab]:
    """Lay the link."""
    number = f"{os.getpid()}{next(_numbers)}"
    two = Lab(f"vdprobe-{number}n", f"vdprobe-{number}f", folder)
    try:
        for where in (two.near, two.far):
            two.ip("netns", "add", where)
        near, far = ("address", "02:00:00:00:77:01"), ("address", "02:00:00:00:77:02")
        two.ip("link", "add", "wire", *near, "netns", two.near, "type", "veth", "peer", "name", "wire", *far, "netns", two.far)
        for where, own, other in ((two.near, "1", "2"), (two.far, "2", "1")):
            two.ip("-n", where, "addr", "add", f"10.77.1.{own}/24", "dev", "wire")
            two.ip("-n", where, "addr", "add", f"fd77::{own}/64", "dev", "wire", "nodad")
            two.ip("-n", where, "link", "set", "lo", "up")
            two.ip("-n", where, "link", "set", "wire", "up")
            # the kernel's link watch passes a new carrier on to IPv6 once a second, too late for neighbour discovery
            two.ip("-n", where, "neigh", "add", f"fd77::{other}", "lladdr", f"02:00:00:00:77:0{other}", "dev", "wire", "nud", "permanent")
        yield two
    finally:
        two.close()
