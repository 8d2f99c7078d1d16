"""The systemd journal, read by a `journalctl -o json` child (systemd docs/JOURNAL_EXPORT_FORMATS.md, "Journal JSON Format").

`journalctl --follow` does not cross a reboot on systemd 250 to 257, so what was missed is read by a call without it first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.logs.sources.journal_entry import JournalEntry, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collectors.logs.matching.packs import Signature

_CHUNK = 1 << 16
_MAX_ENTRY = 1 << 20
_FIRST = 1000  # entries to look back at when there is no cursor yet
_LONGEST_PAUSE = 60.0
_SETTLED = 10.0  # seconds after which a child that has nothing to say is one that works
_PATIENCE = 4  # children in a row that end badly and say nothing


def matches(signatures: Iterable[Signature], *, kernel: bool) -> list[str]:
    """Give journalctl's arguments for everybody the packs listen to; the kernel where it is not read from kmsg."""
    terms = ["_TRANSPORT=kernel"] if kernel else []
    for signature in signatures:
        terms += [f"_COMM={comm}" for comm in signature.source.comms]
        terms += [f"_SYSTEMD_UNIT={unit}" for unit in signature.source.units]
    unique = list(dict.fromkeys(terms))
    return [argument for term in unique for argument in ("+", term)][1:]


def trouble(root: Path = Path("/")) -> tuple[str, str] | None:
    """Say why the system journal cannot be read: (`missing` or `permission`, a sentence); None where it can."""
    if shutil.which("journalctl") is None:
        return "missing", "there is no journalctl"
    found = False
    for folder in ("var/log/journal", "run/log/journal"):
        journals = os.path.join(root, folder)  # noqa: PTH118 — asked again and again: no Path for each
        try:
            files = [f"{journals}/{machine}/system.journal" for machine in os.listdir(journals)]  # noqa: PTH208
        except OSError as error:
            found |= isinstance(error, PermissionError)
            continue
        if any(os.access(file, os.R_OK, effective_ids=True) for file in files):
            return None
        found |= any(map(os.path.exists, files))
    return ("permission", "the group systemd-journal may read it") if found else ("missing", "there is no system journal")


class Journal:
    """A follower of the journal. It never waits; its child is started, drained and started again by `read`."""

    def __init__(self, terms: Sequence[str], cursor: str = "", *, since: float = 0.0, command: Sequence[str] = ("journalctl",)) -> None:
        """Go on behind `cursor`; without one, from the Unix time `since`, or with the last entries there are."""
        self.cursor = cursor
        self.restarts = 0
        self.vacuumed = 0  # times the place we had reached was gone
        self.oversize = 0
        self._terms = list(terms)
        self._command = list(command)
        self._child: subprocess.Popen[bytes] | None = None
        self._since = since
        self._started_at = 0.0  # Unix time
        self.following = False  # False while what was there at the start, or at a loss of the child, is read
        self._resuming = ""  # the cursor the child was started at: its entry comes first, and is not new
        self._rest = b""
        self._pause = 1.0
        self._failures = 0
        self.not_before = 0.0  # no child is started earlier
        self._up = 0.0  # when the child was started
        self.alive_at = since or time.time()  # Unix time: until then a child has told everything
        self.why = ""

    def read(self, now: float, chunks: int = 64) -> list[JournalEntry]:
        """Give the entries that are there; `now` is monotonic, in seconds."""
        if self._child is None:
            if now < self.not_before:
                return []
            self._start(now)
        entries: list[JournalEntry] = []
        while self._child is not None and chunks > 0:
            chunks -= 1
            try:
                chunk = os.read(self._output, _CHUNK)
            except BlockingIOError:
                break
            if not chunk:
                self._ended(now)
                break
            entries += self._take(chunk)
        if entries or (self._child is not None and now - self._up >= _SETTLED):
            self._pause, self._failures = 1.0, 0
        if self.following and not self._failures:
            self.alive_at = time.time()
        return entries

    @property
    def descriptor(self) -> int | None:
        """Give the child's pipe while there is a child."""
        return self._output if self._child is not None else None

    @property
    def failing(self) -> bool:
        """Say whether children end badly again and again."""
        return self._failures > 1

    @property
    def _output(self) -> int:
        assert self._child is not None  # noqa: S101 — for mypy
        assert self._child.stdout is not None  # noqa: S101
        return self._child.stdout.fileno()

    def _start(self, now: float) -> None:
        self._resuming, self._rest = self.cursor, b""
        where = ["--cursor", self.cursor] if self.cursor else self._without_cursor()
        follow = ["--follow", "--no-tail"] if self.following else []
        arguments = [*self._command, "--output=json", "--all", "--no-pager", "--quiet", *follow]
        self._started_at = time.time()
        try:
            self._child = subprocess.Popen(  # noqa: S603 — a fixed command; a cursor is one argument
                [*arguments, *where, *self._terms], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C"}, bufsize=0,
            )  # fmt: skip
        except OSError as error:
            self._back_off(now, f"it cannot be started: {error.strerror}")
        else:
            self._up = now
            os.set_blocking(self._output, False)

    def _without_cursor(self) -> list[str]:
        return [f"--since=@{self._since:.6f}"] if self._since else [f"--lines={_FIRST}"]

    def _take(self, chunk: bytes) -> list[JournalEntry]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > _MAX_ENTRY:
            self.oversize += 1
            self._rest = b""
        entries = []
        for line in lines:
            entry = parse(line)
            if entry is None:
                continue
            if self._resuming:
                resumed, self._resuming = self._resuming, ""
                if entry.cursor == resumed:
                    continue
                self.vacuumed += 1
            self.cursor = entry.cursor or self.cursor
            entries.append(entry)
        return entries

    def _ended(self, now: float) -> None:
        """Go on after a child: to following after the catch-up, and otherwise after a pause."""
        code = self._stop(gone=True)
        if code == 0 and not self.following:
            self.following = True
            self._since = self._started_at
        else:
            self.restarts += 1
            self._back_off(now, f"status {code}")
            if self._failures % _PATIENCE == 0 and self.cursor:  # a journal that was deleted or replaced does not know it
                self.cursor, self._since = "", self.alive_at
                self.vacuumed += 1
            self.following = False  # what was said meanwhile, perhaps before a reboot, is caught up with

    def _back_off(self, now: float, why: str) -> None:
        self._failures, self.why = self._failures + 1, why
        self.not_before = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _stop(self, *, gone: bool = False) -> int:
        child, self._child = self._child, None
        if child is None:
            return 0
        if child.stdout is not None:
            child.stdout.close()
        if gone:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.wait(1)
        with contextlib.suppress(OSError):
            child.terminate()
        try:
            return child.wait(2)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()

    def close(self) -> None:
        """End the child."""
        self._stop()
