"""The kernel's last words before a reboot: /dev/kmsg has forgotten them, the journal has not."""

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

_PATIENCE = 10.0  # seconds: a journal on a slow disk must not hold up what happens now
_MOST = 100_000  # entries: many times what a kernel's ring holds


def last_words(position: KmsgPosition, *, command: Sequence[str] = ("journalctl",)) -> Iterator[JournalEntry]:
    """Give what the kernel said behind a position of an earlier boot, as far as the journal has it and gives it in time."""
    matches = [f"_BOOT_ID={position.log.replace('-', '')}", "_TRANSPORT=kernel"]
    try:
        child = subprocess.Popen(  # noqa: S603 — a fixed command
            [*command, "--output=json", "--all", "--no-pager", "--quiet", f"--lines={_MOST}", *matches],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except OSError:
        return
    timer = threading.Timer(_PATIENCE, child.kill)
    timer.daemon = True
    timer.start()
    try:
        assert child.stdout is not None  # noqa: S101 — for mypy
        with child.stdout as lines:
            for line in lines:
                entry = parse(line)
                if entry is not None and entry.kernel and entry.microseconds is not None and entry.microseconds > position.microseconds:
                    yield entry
    finally:
        timer.cancel()
        child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1)
