"""Follow one path through rotation by rename or copy, truncation, deletion, and restarts of vitald."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from collectors.logs.state import FollowerState
from collectors.logs.tailing.compressed_copy import find_compressed, missed_compressed
from collectors.logs.tailing.siblings import FileId, find_finished, find_rotated, missed_rotations
from collectors.logs.tailing.tail import FilePosition, Tail, content_matches, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

GRACE = 30.0  # seconds a renamed or deleted file is kept open after its last write: its writer may not have reopened the path yet
BACKLOG_BYTES = 1 << 20  # read of a file that is followed for the very first time
_NOT_REGULAR = "not a regular file"
_MAX_FINISHED = 8  # finished files whose end position is kept, so that they are not read again


class Follower:
    """Follows one path. `on_loss` gets the reason of each loss: truncated, rotated, oversize, unreadable."""

    def __init__(self, path: str, on_loss: Callable[[str], None], saved: FollowerState | None = None, *, backlog: bool = False) -> None:
        """Start at the saved state; without one at the file's start, or (`backlog`) at its last MiB."""
        self.path = path
        self.error = ""  # why the path cannot be read now
        self._on_loss = on_loss
        self._tail: Tail | None = None
        self._rotated: list[Tail] = []
        self._finished: list[FilePosition] = list(saved.finished) if saved else []
        self._saved = saved.reading if saved else ()
        self._backlog = backlog
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
        if status is None and self._saved and not self.error:
            self._resume_elsewhere()
        if status is None and self._last is not None:  # it may be created and rotated away again between two refreshes
            self._rotated += self._missed_rotations(self._last)

    def _examine(self, tail: Tail, now: float) -> None:
        """Detect a truncation, growth, and the end of a rotated file's grace period."""
        status = os.fstat(tail.descriptor)
        before, tail.size_and_mtime = tail.size_and_mtime, (status.st_size, status.st_mtime_ns)
        if tail.size_and_mtime != before:
            tail.idle_since = None
            if not tail.is_unchanged():
                self._truncated(tail)
            elif tail.offset == 0:  # written, copied and truncated between two refreshes leaves no other trace
                self._rotated += self._missed_rotations(tail.position())
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
            start = max(0, os.fstat(descriptor).st_size - BACKLOG_BYTES) if self._backlog else 0
            known = find_finished(descriptor, self._finished)
            self._tail = Tail(descriptor, known.offset) if known else Tail(descriptor, start, skipping=start > 0)
            if self._last is not None:
                self._rotated += self._missed_rotations(self._last)
        self._backlog = False

    def _resume(self, descriptor: int, saved: Sequence[FilePosition]) -> Tail:
        """Continue after a restart: find each file that was being read, wherever it is now; one that is not found is counted as lost."""
        status = os.fstat(descriptor)
        current = Tail(descriptor)
        for position in saved:
            same_file = (position.device, position.inode) == (status.st_dev, status.st_ino)
            if same_file and content_matches(descriptor, position):
                current = Tail(descriptor, position.offset, skipping=position.skipping)
            elif (found := self._find(position, restarted=True)) is not None:
                self._rotated.append(found)
            elif position is saved[-1] or position.unread:
                self._on_loss("truncated" if same_file else "rotated")
        if current.offset == 0:
            self._rotated += self._missed_compressed(saved[-1], current)
            self._rotated += self._missed_rotations(saved[-1], current)
        return current

    def _resume_elsewhere(self) -> None:
        """Continue after a restart where the path is missing: its file may be beside it under another name."""
        saved, self._saved = self._saved, ()
        for position in saved:
            if (found := self._find(position, restarted=True)) is not None:
                self._rotated.append(found)
            elif position is saved[-1] or position.unread:
                self._on_loss("rotated")
        self._rotated += self._missed_compressed(saved[-1])
        self._last = saved[-1]
        self._finished = [*self._finished, saved[-1]][-_MAX_FINISHED:]  # it may be at the path again, as on a volume mounted late

    def _truncated(self, tail: Tail) -> None:
        """Start again at the beginning of a truncated file; the rest of its old content may be in a copy (copytruncate)."""
        position = tail.position()
        if (copy := self._find(position, tail)) is not None:
            self._rotated.insert(0, copy)
        else:
            self._on_loss("truncated")
        tail.rewind()
        self._rotated += self._missed_rotations(position)

    def _taken(self, *more: Tail) -> set[FileId]:
        return {(tail.device, tail.inode) for tail in (*self._tails(), *more)}

    def _find(self, position: FilePosition, *others: Tail, restarted: bool = False) -> Tail | None:
        taken = self._taken(*others)
        found = find_rotated(self.path, position, taken)
        if found is None and restarted:  # a file that is compressed while vitald runs is open here, and is read to its end
            found = find_compressed(self.path, position, taken, self._on_damage)
        return found

    def _missed_rotations(self, last: FilePosition, *others: Tail) -> list[Tail]:
        return missed_rotations(self.path, last, self._taken(*others), self._finished)

    def _missed_compressed(self, last: FilePosition, *others: Tail) -> list[Tail]:
        return missed_compressed(self.path, last, self._taken(*others), self._finished, self._on_damage)

    def _on_damage(self) -> None:
        self._on_loss("rotated")
