"""How journalctl is run: what it is asked for, and how much memory it may take.

`--all` is never used: a field of 4 KiB and more is then null (logs-show.c JSON_THRESHOLD), whatever a local user wrote. Since systemd 236
`--output-fields` leaves out all other fields. An entry may still hold one field a thousand times, and needs 150 MB as JSON: a limit on the
child's private memory (RLIMIT_DATA; mapped journal files do not count) ends the child, not the unit.
"""

from __future__ import annotations

import contextlib
import re
import resource
from typing import TYPE_CHECKING

from collectors.helper_process import HelperFailed, HelperProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMORY = 64 << 20  # bytes of private memory
_OUTPUT_FIELDS_SINCE = 236  # systemd version
_VERSION_SECONDS = 5.0
_SENDER_FIELDS = "_TRANSPORT,SYSLOG_FACILITY,_COMM,_EXE,_SYSTEMD_UNIT,_UID,_PID,_BOOT_ID,_SOURCE_MONOTONIC_TIMESTAMP"


def selects_fields(command: Sequence[str]) -> bool:
    """Return whether this journalctl knows `--output-fields`."""
    try:
        answer = HelperProcess((*command, "--version"), on_start=limit_memory).ask(seconds=_VERSION_SECONDS)
    except HelperFailed:
        return False
    found = re.match(rb"systemd (\d{1,5})\b", answer)
    return found is not None and int(found[1]) >= _OUTPUT_FIELDS_SINCE


def output_arguments(*, select: bool, message: bool = True) -> tuple[str, ...]:
    """Return the arguments of the output: with `select`, of the fields that are used, without MESSAGE if not `message`."""
    fields = (f"--output-fields={'MESSAGE,' if message else ''}{_SENDER_FIELDS}",) if select else ()
    return ("--output=json", "--no-pager", "--quiet", *fields)


def limit_memory(pid: int) -> None:
    """Limit the private memory of a child that has just been started, and let the kernel kill it before the daemon."""
    with contextlib.suppress(OSError, ValueError):  # it has ended
        resource.prlimit(pid, resource.RLIMIT_DATA, (MEMORY, MEMORY))
    with contextlib.suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("500")
