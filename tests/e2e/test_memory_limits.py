"""The ledger in a cgroup with less memory than the host, and in a container with its own /proc/meminfo."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.limits import memory_max, out_of_memory_kills

MIB = 1 << 20
LIMIT = 300 * MIB
CHECK = "-m daemon check --format json --collector.disable-defaults --collector.memory"
FILLED = f"""
import subprocess, sys
sys.stdin.readline()
kept = bytearray(b"x") * {200 * MIB}
sys.exit(subprocess.run([sys.executable, *"{CHECK}".split()]).returncode)
"""
SHRUNK = """
mount --make-rprivate / && mount --bind "$1" /proc/meminfo && shift && exec "$@"
"""


def total() -> int:
    return int(re.search(r"MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text())[1]) * 1024  # type: ignore[index]


def finding(output: str) -> dict[str, Any]:
    kernel: dict[str, Any] = next(row for row in json.loads(output)["findings"] if row["check"] == "memory_kernel")
    return kernel


@pytest.mark.fault(37)
def test_in_a_cgroup_with_less_memory_than_the_host_the_ledger_is_the_hosts() -> None:
    """Two thirds of the cgroup are full: that is its owner's affair, and neither little memory nor a leak of the kernel's."""
    words = [sys.executable, "-c", FILLED]
    with (
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
        memory_max(process.pid, LIMIT) as group,
    ):
        output, _ = process.communicate("go\n", timeout=120)
        assert out_of_memory_kills(group) == 0
    assert process.returncode == 0, output
    kernel = finding(output)
    assert kernel["level"] == "healthy"
    assert kernel["evidence"]["total_bytes"] == total() > LIMIT
    assert kernel["evidence"]["available_bytes"] > LIMIT
    assert "exhaustion_seconds" not in kernel["evidence"]


@pytest.mark.needs("unshare", "mount")
@pytest.mark.fault(37)
def test_a_meminfo_mounted_over_the_hosts_is_refused_as_a_containers_view(tmp_path: Path) -> None:
    """As lxcfs does it: the cgroup's MemTotal, free and cached; the rest of the file still counts the whole host."""
    view = tmp_path / "meminfo"
    view.write_text(re.sub(r"(MemTotal|MemFree|MemAvailable): +\d+", rf"\1: {LIMIT // 1024}", Path("/proc/meminfo").read_text()))
    words = ["unshare", "--mount", "sh", "-c", SHRUNK, "sh", str(view), sys.executable, *CHECK.split()]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    answer = json.loads(done.stdout)
    assert {row["check"]: row["level"] for row in answer["findings"]} == {"memory_kernel": "unknown", "memory_process": "unknown"}, answer
    assert all("run vitald on the host" in row["remediation"] for row in answer["findings"]), answer
    (memory,) = answer["collectors"]
    assert "is mounted over it" in memory["detail"], memory
    assert done.returncode == 3
