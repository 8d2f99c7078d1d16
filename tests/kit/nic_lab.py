"""Namespaces of our own, and a collector that runs inside one: sockets and /sys belong to the process that opened them."""

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
ALL = {"ignore": ["lo"]}  # settings that look at every interface but this
ENVIRONMENT = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}

LOOK = """
import json, sys, time
from pathlib import Path
import msgspec
from collectors.model import CollectorContext
from collectors.settings import decode_hook
from collectors.nic.collector import NicCollector
from collectors.dhcp.collector import DhcpCollector

class Slot:
    def __init__(self, path): self.path = Path(path)
    def load(self): return json.loads(self.path.read_text()) if self.path.exists() else None
    def save(self, value): self.path.write_text(json.dumps(value)); return True

kind = {"nic": NicCollector, "dhcp": DhcpCollector}[sys.argv[1]]
settings = msgspec.convert(json.loads(sys.argv[2]), kind.Settings, dec_hook=decode_hook)
collector = kind(settings, CollectorContext(slot=Slot(sys.argv[3])) if sys.argv[3:] else CollectorContext())
for line in sys.stdin:
    if line.strip() == "now" and hasattr(collector, "look_again"):
        collector.look_again()
    elif line.strip() == "now" and hasattr(collector, "_due"):
        collector._due = 0.0
    began = time.thread_time()
    reading = collector.read()
    verdicts = list(collector.judge([reading]))
    metrics = list(collector.measure(reading))
    cpu = time.thread_time() - began
    print(json.dumps({
        "cpu": cpu,
        "verdicts": [[v.check, v.subject, int(v.level), v.message, dict(v.evidence), v.remediation] for v in verdicts],
        "metrics": [[m.family.name, *m.labels, m.value] for m in metrics],
    }, default=list), flush=True)
"""


class Look:
    """What one look said."""

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


class Inside:
    """A collector in a namespace, in a process of its own; `look()` is one tick, `look(now=True)` a full look."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def look(self, *, now: bool = False) -> Look:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("now\n" if now else "tick\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the collector died"
        return Look(json.loads(line))

    def until(self, right: Callable[[Look], bool], seconds: float = 20.0, *, now: bool = False) -> Look:
        """Look every 50 ms until it says what is waited for."""
        deadline = time.monotonic() + seconds
        while True:
            seen = self.look(now=now)
            if right(seen):
                return seen
            assert time.monotonic() < deadline, f"not seen within {seconds} s: {seen.verdicts}"
            time.sleep(0.05)


class Namespace:
    """A network namespace; everything in it goes with it."""

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

    def collector(self, kind: str, settings: dict[str, Any] | None = None, slot: Path | None = None) -> Inside:
        arguments = [sys.executable, "-c", LOOK, kind, json.dumps(settings or {}), *([str(slot)] if slot else [])]
        return Inside(self.start(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY))


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
    """Make one with a name of its own, `lo` up; its processes end before it does."""
    made = Namespace(f"{prefix}{os.getpid()}x{time.monotonic_ns() % 1_000_000}")
    subprocess.run(["ip", "netns", "add", made.name], env=ENVIRONMENT, check=True)
    try:
        with made.stack:
            made.run("ip link set lo up")
            yield made
    finally:
        subprocess.run(["ip", "netns", "del", made.name], env=ENVIRONMENT, check=False)
