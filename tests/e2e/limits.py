"""Cgroup limits of one process, as of CPUQuota= and MemoryMax=: the container's systemd has no controllers."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOP = Path("/sys/fs/cgroup")
_UNIFIED = (_TOP / "cgroup.controllers").exists()


@contextlib.contextmanager
def cpu_quota(pid: int, percent: int) -> Iterator[Path]:
    """Limit a process to a percentage of one core; yield its cgroup."""
    period = 100_000  # µs, systemd's own choice
    quota = {"cpu.max": f"{percent * period // 100} {period}"} if _UNIFIED else {"cpu.cfs_quota_us": str(percent * period // 100)}
    with _group("cpu", pid, quota) as group:
        yield group


@contextlib.contextmanager
def memory_max(pid: int, size: int) -> Iterator[Path]:
    """Limit a process to `size` further bytes (cgroup v1) or to `size` bytes (v2); yield its cgroup."""
    with _group("memory", pid, {"memory.max" if _UNIFIED else "memory.limit_in_bytes": str(size)}) as group:
        yield group


def out_of_memory_kills(group: Path) -> int:
    """Count the processes of a memory cgroup that the kernel killed."""
    output = (group / ("memory.events" if _UNIFIED else "memory.oom_control")).read_text()
    return next(int(line.split()[1]) for line in output.splitlines() if line.startswith("oom_kill "))


@contextlib.contextmanager
def _group(controller: str, pid: int, limits: dict[str, str]) -> Iterator[Path]:
    top = _TOP if _UNIFIED else _TOP / controller
    if _UNIFIED:
        (top / "cgroup.subtree_control").write_text(f"+{controller}")
    group = top / f"vitald-lab-{controller}-{os.getpid()}"
    group.mkdir()
    try:
        for name, value in limits.items():
            (group / name).write_text(value)
        (group / "cgroup.procs").write_text(str(pid))
        yield group
    finally:
        for left in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (top / "cgroup.procs").write_text(left)
        group.rmdir()
