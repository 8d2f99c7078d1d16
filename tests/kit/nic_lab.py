"""Network namespaces for tests, and a collector run inside one as a process: sockets and /sys belong to the process that opened them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).parents[2]
ALL = {"ignore": ["lo"]}  # settings that read every interface but this
ENVIRONMENT = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}

PROGRAM = """
import json, sys, time
from pathlib import Path
import msgspec
from collectors.model import CollectorContext
from collectors.settings import decode_hook
from collectors.state import decode, encode
from collectors.nic.collector import NicCollector
from collectors.dhcp.collector import DhcpCollector

class Slot:
    def __init__(self, path): self.path = Path(path)
    def load(self, schema): return decode(self.path.read_bytes(), schema).value if self.path.exists() else schema()
    def save(self, value): self.path.write_bytes(encode(value)); return True

collector_class = {"nic": NicCollector, "dhcp": DhcpCollector}[sys.argv[1]]
settings = msgspec.convert(json.loads(sys.argv[2]), collector_class.Settings, dec_hook=decode_hook)
collector = collector_class(settings, CollectorContext(slot=Slot(sys.argv[3])) if sys.argv[3:] else CollectorContext())
for line in sys.stdin:
    if line.strip() == "full":
        collector.request_full_scan()
    began = time.thread_time()
    reading = collector.read()
    verdicts = list(collector.judge([reading], settings))
    metrics = list(collector.measure(reading, settings))
    cpu = time.thread_time() - began
    print(json.dumps({
        "cpu": cpu,
        "verdicts": [[v.check, v.subject, int(v.level), v.message, dict(v.evidence), v.remediation] for v in verdicts],
        "metrics": [[m.family.name, *m.labels, m.value] for m in metrics],
    }, default=list), flush=True)
"""


class RunResult:
    """Verdicts and metrics of one run, and its CPU seconds."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.cpu: float = raw["cpu"]
        self.verdicts: dict[tuple[str, str], list[Any]] = {(v[0], v[1]): v[2:] for v in raw["verdicts"]}
        self.metrics: dict[tuple[Any, ...], float] = {tuple(m[:-1]): m[-1] for m in raw["metrics"]}

    def level(self, check: str, subject: str) -> int | None:
        found = self.verdicts.get((check, subject))
        return None if found is None else int(found[0])

    def message(self, check: str, subject: str) -> str:
        return str(self.verdicts[check, subject][1])

    def remediation(self, check: str, subject: str) -> str:
        return str(self.verdicts[check, subject][3])


class CollectorProcess:
    """A collector in a namespace, in a process of its own, run on request."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def run_once(self, *, full_scan: bool = False) -> RunResult:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("full\n" if full_scan else "tick\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the collector process ended"
        return RunResult(json.loads(line))

    def until(self, condition: Callable[[RunResult], bool], seconds: float = 20.0, *, full_scan: bool = False) -> RunResult:
        """Run it every 50 ms until the condition holds."""
        deadline = time.monotonic() + seconds
        while True:
            result = self.run_once(full_scan=full_scan)
            if condition(result):
                return result
            assert time.monotonic() < deadline, f"condition not met within {seconds} s: {result.verdicts}"
            time.sleep(0.05)


class Namespace:
    """A network namespace; its interfaces are deleted with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stack = ExitStack()

    def run(self, command: str, *, check: bool = True) -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, *command.split()], env=ENVIRONMENT, check=False, capture_output=True, text=True, timeout=60
        )
        assert not check or done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def start(self, *command: str, **more: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(["ip", "netns", "exec", self.name, *command], env=ENVIRONMENT, text=True, **more)
        self.stack.callback(_end, process)
        return process

    def collector(self, name: str, settings: dict[str, Any] | None = None, slot: Path | None = None) -> CollectorProcess:
        arguments = [sys.executable, "-c", PROGRAM, name, json.dumps(settings or {}), *([str(slot)] if slot else [])]
        return CollectorProcess(self.start(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY))


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@contextmanager
def namespace(prefix: str = "vnic") -> Iterator[Namespace]:
    """Create a namespace with a unique name and `lo` up; its processes end before it is deleted."""
    created = Namespace(f"{prefix}{os.getpid()}x{time.monotonic_ns() % 1_000_000}")
    subprocess.run(["ip", "netns", "add", created.name], env=ENVIRONMENT, check=True)
    try:
        with created.stack:
            created.run("ip link set lo up")
            yield created
    finally:
        subprocess.run(["ip", "netns", "del", created.name], env=ENVIRONMENT, check=False)
