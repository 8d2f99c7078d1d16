"""What each library costs on top of the daemon's own imports, and what a helper process that uses a large one takes and releases."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

from collectors.netlink.link_details import COMMAND, LinkDetailsClient
from collectors.netlink.link_details_messages import LinkQuestion
from tests.kit.results import Row

if TYPE_CHECKING:
    from pathlib import Path

ISSUE = 4
QUESTIONS = 20
ALLOWED = 1 << 18  # bytes: 256 KB of growth in the main process is noise
LIBRARIES = ("pyroute2", "psutil", "scapy.all", "hyperscan", "rich.table", "yaml", "bcrypt", "collectors.netlink.link_details")

_IMPORT = """
import importlib, sys, time
import collectors.model, collectors.settings, apscheduler.schedulers.background, prometheus_client, ssl, subprocess, msgspec
def resident():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Rss")) * 1024
before, cpu = resident(), time.process_time()
importlib.import_module(sys.argv[1])
print(resident() - before, time.process_time() - cpu)
"""


def measure(folder: Path) -> list[Row]:  # noqa: ARG001 — it needs no files
    """Import each in a process of its own; then ask the link child again and again."""
    rows = []
    for name in LIBRARIES:
        done = subprocess.run([sys.executable, "-c", _IMPORT, name], check=True, capture_output=True, text=True)
        grown, cpu = map(float, done.stdout.split())
        rows.append(
            Row(
                f"importing {name} on top of the daemon's own imports",
                "-",
                f"{grown / 1e6:.1f} MB, {cpu * 1e3:.0f} ms of CPU",
                "-",
                "-",
                None,
            )
        )
    return [*rows, _questions()]


def _questions() -> Row:
    child, question = LinkDetailsClient(), LinkQuestion(("127.0.0.1",), every_link=True)
    child.ask(question, 60)
    before, used = _resident(), resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(QUESTIONS):
        child.ask(question, 60)
    grown, after = _resident() - before, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime) / QUESTIONS
    peak = _peak()
    output = f"{grown / 1e6:+.2f} MB"
    return Row(
        f"main process after {QUESTIONS} questions to the link child",
        "≤ +256 KB",
        output,
        f"the child {peak / 1e6:.1f} MB",
        "-",
        grown <= ALLOWED,
        f"{cpu * 1e3:.0f} ms of CPU a question, the interpreter included",
    )


def _resident() -> int:
    with open("/proc/self/smaps_rollup") as file:  # noqa: PTH123
        return next(int(line.split()[1]) for line in file if line.startswith("Rss")) * 1024


def _peak() -> float:
    """Return the child's largest resident size in bytes."""
    code = "import json, resource, subprocess, sys; subprocess.run(json.loads(sys.argv[1]), input=b'{\"every_link\": true}', stdout=-3); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", code, json.dumps(COMMAND)], check=True, capture_output=True, text=True)
    return float(done.stdout) * 1024
