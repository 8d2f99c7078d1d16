"""Reader of the systemd journal by a `journalctl -o json` child (systemd docs/JOURNAL_EXPORT_FORMATS.md, "Journal JSON Format").

`journalctl --follow` does not continue across a reboot on systemd 250 to 257, so the backlog is read by a call without it first. It shows
the entries of /proc/sys/kernel/random/boot_id alone (journalctl-filter.c add_boot): in a container with a boot ID of its own, as nspawn
makes them, none of the host's journal. There the journal is read by a call every few seconds instead.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from collectors.helper_process import HelperFailed, HelperProcess, read_some
from collectors.logs.sources.journal_child import limit_memory, output_arguments, selects_fields
from collectors.logs.sources.journal_entry import JournalEntry, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from collectors.logs.matching.packs import Signature
    from collectors.logs.state import KmsgPosition

_log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 16
_MAX_ENTRY_BYTES = 1 << 20
_BACKLOG_ENTRIES = 1000  # read where there is no cursor yet
_CRASHES = frozenset({-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGSYS})
_MAX_PAUSE = 60.0  # seconds between two starts
_STABLE_SECONDS = 10.0  # after which a child without output counts as working
_MAX_CURSOR_FAILURES = 4  # failed children in a row, after which the cursor is dropped
_POLL_SECONDS = 5.0  # between two calls where --follow would show nothing
_NEWEST_SECONDS = 5.0
_PREVIOUS_BOOT_SECONDS = 10.0  # a journal on a slow disk must not delay the present
_PREVIOUS_BOOT_ENTRIES = 100_000  # many times what a kernel's ring buffer holds


def match_arguments(signatures: Iterable[Signature], *, kernel: bool) -> list[str]:
    """Return journalctl's match arguments for the sources of all signatures; with `kernel`, the kernel's too."""
    terms = ["_TRANSPORT=kernel"] if kernel else []
    for signature in signatures:
        terms += [f"_COMM={comm}" for comm in signature.source.comms]
        terms += [f"_SYSTEMD_UNIT={unit}" for unit in signature.source.units]
    return [argument for term in dict.fromkeys(terms) for argument in ("+", term)][1:]


class JournalReader:
    """Follows the journal without blocking; `read` starts the child, reads its output and restarts it."""

    def __init__(
        self,
        terms: Sequence[str],
        cursor: str = "",
        *,
        since: float = 0.0,
        command: Sequence[str] = ("journalctl",),
        boot: str = "",
        is_relevant: Callable[[JournalEntry], bool] = lambda _entry: True,
    ) -> None:
        """Continue after `cursor`; without one, from the Unix time `since`, or with the last entries.

        `boot` is the boot ID of this process' namespace, empty where it does not matter. `is_relevant` tells by its sender whether an
        entry could be counted: others that cannot be read are no loss.
        """
        self.polls = False  # True where the journal's entries have another boot ID
        self._boot = boot.replace("-", "")
        self.cursor = cursor
        self.restarts = 0
        self.vacuumed = 0  # times the entry at the cursor was gone
        self.oversize = 0
        self._terms = list(terms)
        self._command = list(command)
        self._child: subprocess.Popen[bytes] | None = None
        self._since = since
        self._started_wall = 0.0  # Unix time
        self.is_following = False  # False while the backlog is read, at the start or after a failure of the child
        self.was_complete = False  # True once a backlog was read to its end
        self._start_cursor = ""  # the child was started at it: its entry is the first, and is not new
        self._partial = b""
        self._in_oversize = False  # within a line that is too long, and counted
        self._is_relevant = is_relevant
        self._selects: bool | None = None  # whether journalctl knows --output-fields; None before the first start
        self._skips = False  # the next child looks for the entry that the last one died of
        self._skipped = 0  # entries that this child was started to skip, and has
        self._poison = ""  # cursor of an entry that no child may read again
        self._has_new = False  # this child has returned an entry
        self._died_at = 0.0  # Unix time
        self._pause = 1.0
        self._failures = 0
        self.next_start = 0.0  # monotonic: no child is started earlier
        self._started = 0.0  # monotonic
        self.complete_until = since or time.time()  # Unix time up to which a child has returned all entries
        self.error = ""  # how the last child failed

    def read(self, now: float, chunks: int = 64) -> list[JournalEntry]:
        """Return the entries that are there; `now` is monotonic, in seconds."""
        if self._child is None:
            if now < self.next_start:
                return []
            self._start(now)
        entries: list[JournalEntry] = []
        while self._child is not None and chunks > 0:
            chunks -= 1
            try:
                chunk = os.read(self._output, _CHUNK_BYTES)
            except BlockingIOError:
                break
            if not chunk:
                self._ended(now)
                break
            entries += self._parse(chunk)
        if entries or (self._child is not None and now - self._started >= _STABLE_SECONDS):
            self._pause, self._failures = 1.0, 0
        if self.is_following and not self._failures and not self.polls:
            self.complete_until = time.time()
        return entries

    @property
    def descriptor(self) -> int | None:
        """The child's pipe; None while there is no child."""
        return self._output if self._child is not None else None

    @property
    def is_failing(self) -> bool:
        """True if two or more children in a row failed."""
        return self._failures > 1

    @property
    def _output(self) -> int:
        assert self._child is not None  # noqa: S101 — for mypy
        assert self._child.stdout is not None  # noqa: S101
        return self._child.stdout.fileno()

    def _start(self, now: float) -> None:
        if self._selects is None:
            self._selects = selects_fields(self._command)
        resumes_after = bool(self.cursor) and self.cursor == self._poison
        self._start_cursor, self._partial = "" if resumes_after else self.cursor, b""
        self._in_oversize, self._has_new, self._skipped = False, False, 0
        start = f"--since=@{self._since:.6f}" if self._since else f"--lines={_BACKLOG_ENTRIES}"
        where = ["--after-cursor" if resumes_after else "--cursor", self.cursor] if self.cursor else [start]
        follow = ["--follow", "--no-tail"] if self.is_following and not self.polls and not self._skips else []
        arguments = [*self._command, *output_arguments(select=self._selects, message=not self._skips), *follow]
        self._started_wall = time.time()
        try:
            self._child = subprocess.Popen(  # noqa: S603 — a fixed command; a cursor is one argument
                [*arguments, *where, *self._terms], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C"}, bufsize=0,
            )  # fmt: skip
        except OSError as error:
            self._back_off(now, f"cannot be started: {error.strerror}")
        else:
            limit_memory(self._child.pid)
            self._started = now
            os.set_blocking(self._output, False)

    def _parse(self, chunk: bytes) -> list[JournalEntry]:
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        if self._in_oversize and lines:
            lines, self._in_oversize = lines[1:], False
        if self._in_oversize:
            self._partial = b""
        elif len(self._partial) > _MAX_ENTRY_BYTES:
            self.oversize += 1
            self._partial, self._in_oversize = b"", True
        entries: list[JournalEntry] = []
        for line in lines:
            if (entry := parse(line)) is None:
                continue
            if self._start_cursor:
                resumed, self._start_cursor = self._start_cursor, ""
                if entry.cursor == resumed:
                    continue
                self.vacuumed += 1
            if self._skips:
                if not self._skip(entry):
                    self._stop()
                    self._skips = False
                    break
                continue
            self.cursor = entry.cursor or self.cursor
            self.oversize += entry.is_oversize and self._is_relevant(entry)
            self._has_new = True
            entries.append(entry)
        return entries

    def _skip(self, entry: JournalEntry) -> bool:
        """Skip the entry that the last child died of, and those behind it that could not be counted; False at the first other one."""
        is_relevant = self._is_relevant(entry)
        if not entry.cursor or (entry.at > self._died_at if not self._skipped else is_relevant):
            return False
        self.oversize += is_relevant
        self._skipped += 1
        self.cursor = self._poison = entry.cursor
        return True

    def _ended(self, now: float) -> None:
        """Continue after the child's end: follow after the backlog, otherwise restart after a pause."""
        code = self._stop(ended=True)
        if self._skips and (code == 0 or self._skipped):
            self._skips = False
            return
        if self._find_poison(now, code):
            return
        if code == 0 and (self.polls or not self.is_following):
            self.is_following = self.was_complete = True
            self._since = self._started_wall
            self._choose_polling(now)
        else:
            self.restarts += 1
            self._back_off(now, f"status {code}")
            if self._failures % _MAX_CURSOR_FAILURES == 0 and self.cursor:  # it is unknown to a journal that was deleted or replaced
                self.cursor, self._since = "", self.complete_until
                self.vacuumed += 1
            self.is_following = False  # the entries since, perhaps of another boot, are a backlog

    def _find_poison(self, now: float, code: int) -> bool:
        """Return whether the child died of an entry, which the next one then skips: it printed nothing and did not end by itself.

        Without --output-fields (systemd before 236) journalctl prints an entry field by field, and no entry can make it die.
        """
        was_skipping, self._skips = self._skips, False
        died = code > 0 or code in _CRASHES or (code < 0 and self._failures > 0)
        if was_skipping or self._has_new or not died or not self._selects:
            return False
        self.restarts += 1
        self.error, self._died_at, self.next_start = f"status {code}", time.time(), now + 1.0
        if self._start_cursor:  # the entry at the cursor itself was not printed
            self._poison = self.cursor
            self._back_off(now, self.error)
        else:
            self._skips = True
        self.is_following = False
        return True

    def _choose_polling(self, now: float) -> None:
        """Poll from now on if the newest entry of all has another boot ID than this process, else follow."""
        newest = newest_boot(self._command) if self._boot else ""
        polls = newest not in {"", self._boot}
        if polls and not self.polls:
            _log.warning("journal has another boot ID, reading it periodically journal=%s own=%s", newest, self._boot)
        self.polls = polls
        if polls:
            self.next_start, self.complete_until = now + _POLL_SECONDS, self._started_wall
            self._failures, self._pause = 0, 1.0

    def _back_off(self, now: float, error: str) -> None:
        self._failures, self.error = self._failures + 1, error
        self.next_start = now + self._pause
        self._pause = min(2 * self._pause, _MAX_PAUSE)

    def _stop(self, *, ended: bool = False) -> int:
        child, self._child = self._child, None
        if child is None:
            return 0
        if child.stdout is not None:
            child.stdout.close()
        if ended:
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
        """Stop the child."""
        self._stop()


def newest_boot(command: Sequence[str] = ("journalctl",)) -> str:
    """Return the boot ID of the newest entry of the journal, 32 hexadecimal digits; empty where it cannot be read in time."""
    arguments = output_arguments(select=selects_fields(command), message=False)
    helper = HelperProcess((*command, *arguments, "--lines=1"), on_start=limit_memory)
    try:
        fields = json.loads(helper.ask(question=b"", seconds=_NEWEST_SECONDS, max_answer=_MAX_ENTRY_BYTES).splitlines()[-1])
        return str(fields["_BOOT_ID"])
    except (HelperFailed, LookupError, TypeError, ValueError, RecursionError):
        return ""


def read_previous_boot(position: KmsgPosition, *, command: Sequence[str] = ("journalctl",)) -> Iterator[JournalEntry]:
    """Yield the kernel's entries after a position of an earlier boot, which /dev/kmsg no longer has, as far as they come in time."""
    matches = (f"_BOOT_ID={position.log_id.replace('-', '')}", "_TRANSPORT=kernel")
    arguments = output_arguments(select=selects_fields(command))
    helper = HelperProcess((*command, *arguments, f"--lines={_PREVIOUS_BOOT_ENTRIES}", *matches), on_start=limit_memory)
    deadline, partial = time.monotonic() + _PREVIOUS_BOOT_SECONDS, b""
    try:
        process = helper.start()
        while data := read_some(process, deadline):
            *lines, partial = (partial + data).split(b"\n")
            for entry in filter(None, map(parse, lines)):
                if entry.is_kernel and entry.microseconds is not None and entry.microseconds > position.microseconds:
                    yield entry
    except HelperFailed:
        return
    finally:
        helper.end()
