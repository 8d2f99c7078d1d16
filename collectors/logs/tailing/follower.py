"""Follow one path through rotation by rename or copy, truncation, deletion, and restarts of vitald."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

import msgspec

from collectors.logs.state import FollowerState
from collectors.logs.tailing.compressed_copy import find_compressed, find_compressed_copy_of_read, missed_compressed
from collectors.logs.tailing.siblings import (
    FileId,
    Known,
    end_of,
    find_copy_of_read,
    find_finished,
    find_rotated,
    is_copy,
    list_siblings,
    missed_rotations,
)
from collectors.logs.tailing.tail import FilePosition, Tail, content_matches, nothing_read, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

GRACE = 30.0  # seconds a renamed or deleted file is kept open after its last write: its writer may not have reopened the path yet
BACKLOG_BYTES = 1 << 20  # read of a file that is there when it is followed for the very first time
MAX_NEW_BYTES = 1 << 30  # read of a file that appears later
_MTIME_LAG = 20_000_000  # ns by which a file's mtime may be behind the clock: a tick of the kernel
_NOT_REGULAR = "not a regular file"
_MAX_FINISHED = 8  # finished files whose end position is kept, so that they are not read again


class Follower:
    """Follows one path. `on_loss` gets the reason of each loss: truncated, rotated, oversize, unreadable, skipped."""

    def __init__(self, path: str, on_loss: Callable[[str], None], saved: FollowerState | None = None, *, backlog: bool = False) -> None:
        """Start at the saved state; without one at the file's start, or (`backlog`) at its last MiB if it is there at the first look."""
        self.path = path
        self.error = ""  # why the path cannot be read now
        self._on_loss = on_loss
        self._tail: Tail | None = None
        self._rotated: list[Tail] = []
        self._finished: list[FilePosition] = list(saved.finished) if saved else []
        self._read_compressed: set[tuple[FileId, int]] = set()
        self._saved = saved.reading if saved else ()
        self._backlog = backlog and saved is None
        self._last = saved.last if saved else None  # the end position of the path's last file, while the path is missing

    @property
    def lag(self) -> int:
        """Bytes that are there and not read yet."""
        return sum(max(0, tail.size - tail.offset) for tail in self._tails())

    @property
    def drained(self) -> bool:
        """True if all whole lines are read; an unfinished one may be there."""
        return all(tail.drained for tail in self._tails())

    @property
    def idle(self) -> bool:
        """True if nothing is followed: the path is missing, and what it was has been read to its end."""
        return self._tail is None and not self._rotated

    def state(self) -> FollowerState:
        """Return what has been read, for a later follower to continue from."""
        return FollowerState((*(tail.position() for tail in self._tails()),) or self._saved, tuple(self._finished), self._last)

    def close(self) -> None:
        """Close all files."""
        for tail in self._tails():
            tail.close()
        self._tail, self._rotated = None, []

    def refresh(self, now: float) -> None:
        """Detect what happened to the path: created, rotated, truncated, deleted. Reads no lines; `now` is monotonic, in seconds.

        Raises OSError; the next refresh then continues at the same place.
        """
        before = self._tail, list(self._rotated), self._saved, self._last
        try:
            self._detect()
        except OSError:
            kept = {id(tail) for tail in (before[0], *before[1])}
            for tail in self._tails():
                if id(tail) not in kept:
                    tail.close()
            self._tail, self._rotated, self._saved, self._last = before
            raise
        self._drop_copies()
        for open_tail in self._tails():
            self._examine(open_tail, now)

    def _detect(self) -> None:
        """Compare the path with the file that is open. A path that cannot be looked at for a moment is not a rotated one."""
        status = self._stat()
        tail = self._tail
        if tail is not None and self.error and self.error != _NOT_REGULAR:
            return
        if tail is not None and (status is None or (status.st_dev, status.st_ino) != (tail.device, tail.inode)):
            self._rotated.append(tail)
            self._last, self._tail = tail.position(), None
        if status is not None and self._tail is None:
            self._open()
        elif status is None and not self.error and self._last is None and not self._saved:
            self._missing_at_first()
        if status is None and self._saved and not self.error:
            self._resume_elsewhere()
        if status is None and self._last is not None:  # it may be created and rotated away again between two refreshes
            self._find_missed(self._last)

    def _drop_copies(self) -> None:
        """Drop files that were empty when they were found beside the path, and have become a copy of another since."""
        for tail in [tail for tail in self._rotated if tail.was_found_empty and tail.size]:
            tail.was_found_empty = False
            if any(is_copy(tail.descriptor, other) for other in self._tails() if other is not tail):
                self._rotated.remove(tail)
                tail.close()

    def _examine(self, tail: Tail, now: float) -> None:
        """Detect a truncation, growth, and the end of a rotated file's grace period."""
        status = os.fstat(tail.descriptor)
        before, tail.size_and_mtime = tail.size_and_mtime, (status.st_size, status.st_mtime_ns)
        if tail.size_and_mtime != before:
            tail.idle_since = None
            if not tail.is_unchanged():
                self._truncated(tail, seen=before[0])
            elif tail.offset == 0:  # written, copied and truncated between two refreshes leaves no other trace
                self._find_missed(tail.position())
        if tail is not self._tail and tail.idle_since is None:
            tail.idle_since = now
        tail.finished = tail is not self._tail and tail.idle_since is not None and now - tail.idle_since >= GRACE and tail.drained

    def read(self, max_blocks: int) -> Iterator[bytes]:
        """Yield at most so many blocks of whole lines, the oldest first."""
        for tail in (*self._rotated, *((self._tail,) if self._tail else ())):
            while max_blocks > 0 and (block := tail.read()) is not None:
                max_blocks -= 1
                for _ in range(block.oversize):
                    self._on_loss("oversize")
                if block.lines:
                    yield block.lines

    def read_finished(self) -> Iterator[bytes]:
        """Yield the unfinished last lines of rotated files whose grace period is over, and close these files."""
        for tail in [tail for tail in self._rotated if tail.finished]:
            while (block := tail.read(final=True)) is not None:
                for _ in range(block.oversize):
                    self._on_loss("oversize")
                if block.lines:
                    yield block.lines
            self._finished = [*self._finished, tail.position()][-_MAX_FINISHED:]
            self._rotated.remove(tail)
            tail.close()

    def _tails(self) -> list[Tail]:
        return [*self._rotated, self._tail] if self._tail else list(self._rotated)

    def _stat(self) -> os.stat_result | None:
        """Return the path's status; None where there is nothing to read. A new error is counted once."""
        error, status = "", None
        try:
            status = os.stat(self.path)  # noqa: PTH116 — a Path for each refresh costs too much
            if not stat.S_ISREG(status.st_mode):
                error = _NOT_REGULAR
            elif self._tail is None and not os.access(self.path, os.R_OK, effective_ids=True):
                error = "Permission denied"
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as failure:
            error = getattr(failure, "strerror", None) or str(failure)
        if error and error != self.error and (self._tail is None or error == _NOT_REGULAR):  # else the open file is read on
            self._on_loss("unreadable")
        self.error = error
        return None if error else status

    def _open(self) -> None:
        """Open the path for the first time, after a restart of vitald, or after a rotation."""
        try:
            descriptor = open_regular(self.path)
        except (OSError, ValueError):
            return  # removed or replaced since; the next refresh handles it
        try:
            if self._take_back(descriptor):
                os.close(descriptor)
            else:
                self._begin(descriptor)
        except OSError:
            os.close(descriptor)
            raise

    def _take_back(self, descriptor: int) -> bool:
        """Continue with a file that was renamed or missing for a moment, and is at the path again."""
        status = os.fstat(descriptor)
        for tail in self._rotated:
            if (tail.device, tail.inode) == (status.st_dev, status.st_ino):
                self._rotated.remove(tail)
                self._tail, self._last = tail, None
                return True
        return False

    def _begin(self, descriptor: int) -> None:
        """Start at the saved position, at the start of the file, or at its end."""
        saved, self._saved = self._saved, ()
        if saved:
            self._tail = self._resume(descriptor, saved)
        else:
            known = find_finished(descriptor, self._finished)
            start = known.offset if known else self._start(os.fstat(descriptor))
            self._tail = Tail(descriptor, start, skipping=start > 0 and known is None)
            if self._last is not None:
                self._find_missed(self._last, self._tail)
        self._backlog = False

    def _start(self, status: os.stat_result) -> int:
        """Return where reading of a new file starts: a file that was not there at the first look is read whole, up to MAX_NEW_BYTES."""
        if self._last is None and self._backlog:
            return max(0, status.st_size - BACKLOG_BYTES)
        if min(status.st_size, status.st_blocks * 512) <= MAX_NEW_BYTES:  # a hole costs nothing
            return 0
        self._on_loss("skipped")
        return status.st_size - MAX_NEW_BYTES

    def _resume(self, descriptor: int, saved: Sequence[FilePosition]) -> Tail:
        """Continue after a restart: find each file that was being read, wherever it is now; one that is not found is counted as lost."""
        status = os.fstat(descriptor)
        current = Tail(descriptor)
        found: list[Tail] = []
        truncated = False
        for position in _best_known_first(saved):
            same_file = (position.device, position.inode) == (status.st_dev, status.st_ino)
            if same_file and content_matches(descriptor, position):
                current = Tail.at(descriptor, position)
                continue
            truncated |= same_file
            if _is_empty_copy(position, found):
                continue
            if (tail := self._find(position, current, *found)) is not None:
                found.insert(0, tail)
            elif self._find_copy_of_read(position, current, *found) and same_file:
                self._count_unread(position)
            elif position is saved[-1] or position.unread:
                self._on_loss("truncated" if same_file else "rotated")
        self._rotated += found
        if current.offset == 0:
            self._find_missed(saved[-1], current, copied=truncated)
        return current

    def _resume_elsewhere(self) -> None:
        """Continue after a restart where the path is missing: its file may be beside it under another name."""
        saved, self._saved = self._saved, ()
        found: list[Tail] = []
        is_gone = False
        for position in _best_known_first(saved):
            if _is_empty_copy(position, found):
                continue
            if (tail := self._find(position, *found)) is not None:
                found.insert(0, tail)
                continue
            self._find_copy_of_read(position, *found)  # whose lines are not read again, though the file itself is gone
            if position is saved[-1] or position.unread:
                self._on_loss("rotated")
                is_gone |= position is saved[-1]
        self._rotated += found
        self._find_missed(saved[-1], copied=is_gone)
        self._last = saved[-1]
        self._finished = [*self._finished, saved[-1]][-_MAX_FINISHED:]  # it may be at the path again, as on a volume mounted late

    def _truncated(self, tail: Tail, seen: int) -> None:
        """Start again at the beginning of a truncated file; the rest of its old content may be in a copy (copytruncate).

        `seen` is the size at the refresh before. A copy of less than was read was made earlier: no line of it is new.
        """
        position = msgspec.structs.replace(tail.position(), unread=max(0, seen - tail.offset))
        if (copy := self._find(position, tail)) is not None:
            self._rotated.insert(0, copy)
        elif self._find_copy_of_read(position, tail):
            self._count_unread(position)
        else:
            self._on_loss("truncated")
        tail.rewind()
        self._find_missed(position, copied=True)

    def _find_copy_of_read(self, position: FilePosition, *others: Tail) -> bool:
        """Find a copy of less than what was read up to a position, and remember that all of it was read."""
        taken = self._taken(*others)
        end = find_copy_of_read(self.path, position, taken) or find_compressed_copy_of_read(self.path, position, taken)
        if end is not None:
            self._finished = [*self._finished, end][-_MAX_FINISHED:]
        return end is not None

    def _count_unread(self, position: FilePosition) -> None:
        """Count bytes that were seen, not read, and are in no copy."""
        if position.unread:
            self._on_loss("truncated")

    def _taken(self, *more: Tail) -> set[FileId]:
        return {(tail.device, tail.inode) for tail in (*self._tails(), *more)}

    def _find(self, position: FilePosition, *others: Tail) -> Tail | None:
        """Find the file that was read up to a position, renamed or copied, compressed or not."""
        known = self._known(*others)
        return find_rotated(self.path, position, known) or find_compressed(self.path, position, known, self._on_damage)

    def _known(self, *others: Tail, copied: bool = False) -> Known:
        following = (*self._tails(), *others)
        return Known(self._taken(*others), following, self._finished, self._read_compressed, copied)

    def _find_missed(self, last: FilePosition, *others: Tail, copied: bool = False) -> None:
        """Follow the files that are newer than `last` and were never read; `copied` if the log is rotated by copy."""
        copied |= any((tail.device, tail.inode) == (last.device, last.inode) and not tail.is_unchanged() for tail in self._tails())
        known = self._known(*others, copied=copied)
        self._rotated += [*missed_compressed(self.path, last, known, self._on_damage), *missed_rotations(self.path, last, known)]

    def _missing_at_first(self) -> None:
        """Remember that all is new that the path holds later, and what its rotated files hold beyond their present end."""
        known = self._finished + [end for sibling in list_siblings(self.path) if (end := end_of(sibling.path)) is not None]
        self._finished = sorted(known, key=lambda position: position.modified)[-_MAX_FINISHED:]
        self._last = nothing_read(time.time_ns() - _MTIME_LAG)

    def _on_damage(self) -> None:
        self._on_loss("rotated")


def _best_known_first(saved: Sequence[FilePosition]) -> list[FilePosition]:
    """Return the positions that content identifies, the path's own first, and then those of files of which nothing was read."""
    last_first = list(reversed(saved))
    return sorted(last_first, key=lambda position: position.offset == 0)


def _is_empty_copy(position: FilePosition, found: Sequence[Tail]) -> bool:
    """Return whether a file of which nothing was read has turned out to be a copy of another."""
    return position.offset == 0 and (position.device, position.inode) in {(tail.device, tail.inode) for tail in found}
