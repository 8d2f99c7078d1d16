"""Kernel records of the previous boot, from the journal: /dev/kmsg no longer has them after a reboot."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from typing import TYPE_CHECKING

from collectors.logs.sources.journal_entry import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collectors.logs.sources.journal_entry import JournalEntry
    from collectors.logs.state import KmsgPosition

_TIMEOUT = 10.0  # seconds: a journal on a slow disk must not delay the present
_MAX_ENTRIES = 100_000  # many times what a kernel's ring buffer holds


def read_previous_boot(position: KmsgPosition, *, command: Sequence[str] = ("journalctl",)) -> Iterator[JournalEntry]:
    """Yield the kernel's entries after a position of an earlier boot, as far as the journal has them and returns them in time."""
    matches = [f"_BOOT_ID={position.log_id.replace('-', '')}", "_TRANSPORT=kernel"]
    try:
        child = subprocess.Popen(  # noqa: S603 — a fixed command
            [*command, "--output=json", "--all", "--no-pager", "--quiet", f"--lines={_MAX_ENTRIES}", *matches],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except OSError:
        return
    timer = threading.Timer(_TIMEOUT, child.kill)
    timer.daemon = True
    timer.start()
    try:
        assert child.stdout is not None  # noqa: S101 — for mypy
        with child.stdout as lines:
            for line in lines:
                entry = parse(line)
                if entry is not None and entry.is_kernel and entry.microseconds is not None and entry.microseconds > position.microseconds:
                    yield entry
    finally:
        timer.cancel()
        child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1)
