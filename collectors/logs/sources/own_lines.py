"""Lines of vitald itself. They quote what was matched: counted again, one event would become an endless series of them.

A line is its own by the unit or the program's name in the journal, which journald determines, and by tag and host in syslog files.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collectors.logs.matching.header import Header

PROGRAM = "vitald"  # SyslogIdentifier= of the unit, and the process name
_UNIT = re.compile(r"/((?!user@)[^/]+\.service)(?:/|$)")


@functools.cache
def own_unit() -> str:
    """Return the system unit that this process runs in, from its cgroup; empty where there is none."""
    try:
        groups = Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return unit_of(groups)


def unit_of(groups: str) -> str:
    """Return the first unit of a service in the text of a process' cgroup file; empty for sessions, user managers and containers."""
    paths = [line.split(":", 2)[2] for line in groups.splitlines() if line.count(":") >= 2]  # noqa: PLR2004 — hierarchy, controllers, path
    found = next(filter(None, map(_UNIT.search, paths)), None)
    return found[1] if found is not None and "/user.slice/" not in found.string else ""


def is_own_entry(unit: str, comm: str) -> bool:
    """Return whether an entry of this host's journal is vitald's: by its unit, helpers included, or by its process name."""
    return comm == PROGRAM or (bool(unit) and unit == own_unit())


def is_own_line(header: Header) -> bool:
    """Return whether a line of a syslog file is vitald's. Those of other hosts, in a central log, are as good as any other."""
    if (header.program or "").rpartition("/")[2] != PROGRAM:
        return False
    host, own = header.host.partition(".")[0].lower(), os.uname().nodename.partition(".")[0].lower()
    return host in {"", "localhost", own}
