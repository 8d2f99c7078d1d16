"""Reads what cgroups tell of kernel memory (cgroups(7)): whose a process is, and cgroups gone that still hold memory. v1, v2, hybrid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import count, text_or_none

if TYPE_CHECKING:
    from pathlib import Path

UNITS = (".service", ".scope", ".slice")


def unit_of(text: str) -> str:
    """Name the unit in /proc/PID/cgroup: the innermost service or scope, else the path, else nothing.

    The line of cgroup v2 (`0::`) or of v1's `name=systemd` is systemd's; where neither says more than `/`, the memory controller's does.
    """
    paths = {kind: path for kind, path in (_line(line) for line in text.splitlines()) if path not in {"", "/"}}
    path = paths.get("") or paths.get("name=systemd") or paths.get("memory") or ""
    parts = [part for part in path.split("/") if part]
    named = [part for part in parts if part.endswith(UNITS[:2])]
    return named[-1] if named else "/".join(parts[-2:])


def _line(line: str) -> tuple[str, str]:
    _, _, rest = line.partition(":")
    controllers, _, path = rest.partition(":")
    kinds = controllers.split(",")
    return ("memory" if "memory" in kinds else controllers), path


def dying(sys: Path) -> int | None:
    """Count cgroups that were removed but are still held by some page or slab object: they keep percpu and slab memory.

    v2 (and the v2 part of a hybrid host) says it in cgroup.stat; v1 alone does not, so the answer there is None, not 0.
    """
    for root in ("fs/cgroup", "fs/cgroup/unified"):
        for line in (text_or_none(sys / root / "cgroup.stat") or "").splitlines():
            name, _, value = line.partition(" ")
            if name == "nr_dying_descendants":
                return count(value.strip())
    return None
