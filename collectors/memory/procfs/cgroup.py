"""cgroups(7), v1, v2 and hybrid: the unit of a process, and removed cgroups that still hold memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.memory.procfs.small_files import parse_number, text_or_none

if TYPE_CHECKING:
    from pathlib import Path

MOST_CGROUPS = (1 << 31) - 1  # kernel/cgroup/cgroup.c: nr_dying_descendants is an int
UNITS = (".service", ".scope", ".slice")


def unit_of(text: str) -> str:
    """Return the unit in /proc/PID/cgroup: the innermost service or scope, else the path, else an empty string.

    The line of cgroup v2 (`0::`) or of v1's `name=systemd` is systemd's; where both are `/`, the memory controller's line is used.
    """
    paths = {kind: path for kind, path in (_line(line) for line in text.splitlines()) if path not in {"", "/"}}
    path = paths.get("") or paths.get("name=systemd") or paths.get("memory") or ""
    parts = [part for part in path.split("/") if part]
    named = [part for part in parts if part.endswith(UNITS[:2])]
    return named[-1] if named else "/".join(parts[-2:])


def _line(line: str) -> tuple[str, str]:
    _, _, rest = line.partition(":")
    controllers, _, path = rest.partition(":")
    return ("memory" if "memory" in controllers.split(",") else controllers), path


def read_dying(sys: Path) -> int | None:
    """Read how many removed cgroups are still held by some page or slab object: they keep percpu and slab memory.

    The counter is in cgroup.stat of v2 (and of the v2 part of a hybrid host); v1 alone has none, so None is returned there, not 0.
    """
    for root in ("fs/cgroup", "fs/cgroup/unified"):
        for line in (text_or_none(sys / root / "cgroup.stat") or "").splitlines():
            name, _, value = line.partition(" ")
            if name == "nr_dying_descendants":
                dying = parse_number(value.strip())
                return dying if dying is not None and dying <= MOST_CGROUPS else None
    return None
