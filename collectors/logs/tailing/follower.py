"""Follow one path through everything that happens to log files: rotation by rename or copy, truncation, deletion, restarts of ours."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from collectors.logs.state import FollowerState
from collectors.logs.tailing import compressed_copy as packed
from collectors.logs.tailing.siblings import Identity, ended, find, middles
from collectors.logs.tailing.tail import Position, Tail, matches, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

GRACE = 30.0  # seconds a file is kept after it was renamed or deleted and went quiet: its writer may not have noticed yet
HISTORY = 1 << 20  # bytes of a file that are read when it is met for the very first time
_REMEMBERED = 8  # finished files whose end is remembered, so that they are not taken for new ones


class Follower:
    """One path. `lose` is told a reason for everything that cannot be read any more: truncated, rotated, oversize, unreadable."""

    def __init__(self, path: str, lose: Callable[[str], None], saved: FollowerState | None = None, *, history: bool = False) -> None:
        """Follow `path`, from where `saved` says; without it from the start, or (`history`) from the last MiB of it."""
        self.path = path
        self.trouble = ""  # why the path cannot be read now, for people
        self._lose = lose
        self._lose_rotated = lambda: lose("rotated")
        self._tail: Tail | None = None
        self._old: list[Tail] = []
        self._done: list[Position] = list(saved.done) if saved else []
        self._saved = saved.reading if saved else ()
        self._history = history
        self._last = saved.last if saved else None  # where the file ended for us that the path was before it went away

    @property
    def lag(self) -> int:
        """Give the bytes that are there and not read yet."""
        return sum(max(0, tail.size - tail.offset) for tail in self._tails())

    @property
    def quiet(self) -> bool:
        """Say whether whole lines are all read; an unfinished one may stand there."""
        return all(tail.drained for tail in self._tails())

    @property
    def idle(self) -> bool:
        """Say whether there is nothing to follow: the path is missing, and what it was has been read to its end."""
        return self._tail is None and not self._old

    def save(self) -> FollowerState:
        """Give what has been read, so that a later follower goes on there."""
        return FollowerState((*(tail.position() for tail in self._tails()),) or self._saved, tuple(self._done), self._last)

    def close(self) -> None:
        """Let all files go."""
        for tail in self._tails():
            tail.close()
        self._tail, self._old = None, []

    def look(self, now: float) -> None:
        """Find out what the path is now; `now` is monotonic, in seconds. Reads no lines."""
        status = self._stat()
        tail = self._tail
        if tail is not None and (status is None or (status.st_dev, status.st_ino) != (tail.device, tail.inode)):
            self._old.append(tail)
            self._last, self._tail = tail.position(), None
        if status is not None and self._tail is None:
            self._begin()
        if status is None and self._saved and not self.trouble:
            self._resume_elsewhere()
        if status is None and self._last is not None:  # it may come and be rotated away again between two looks
            self._old += self._middles(self._last)
        for open_tail in self._tails():
            self._examine(open_tail, now)

    def _examine(self, tail: Tail, now: float) -> None:
        """See whether a file changed since the last look: cut short, grown, or quiet for so long that it can be let go."""
        status = os.fstat(tail.descriptor)
        seen, tail.seen = tail.seen, (status.st_size, status.st_mtime_ns)
        if tail.seen != seen:
            tail.quiet_since = None
            if not tail.unchanged():
                self._truncated(tail)
            elif tail.offset == 0:  # written, copied and truncated between two looks leaves no other trace
                self._old += self._middles(tail.position())
        if tail is not self._tail and tail.quiet_since is None:
            tail.quiet_since = now
        tail.finished = tail is not self._tail and tail.quiet_since is not None and now - tail.quiet_since >= GRACE and tail.drained

    def read(self, blocks: int) -> Iterator[bytes]:
        """Give up to so many blocks of whole lines, what is oldest first."""
        for tail in (*self._old, *((self._tail,) if self._tail else ())):
            while blocks > 0 and (piece := tail.read()) is not None:
                blocks -= 1
                for _ in range(piece.oversize):
                    self._lose("oversize")
                if piece.block:
                    yield piece.block

    def last_words(self) -> Iterator[bytes]:
        """Give the unfinished last lines of files that are about to be let go, and let them go."""
        for tail in [tail for tail in self._old if tail.finished]:
            while (piece := tail.read(final=True)) is not None:
                for _ in range(piece.oversize):
                    self._lose("oversize")
                if piece.block:
                    yield piece.block
            self._done = [*self._done, tail.position()][-_REMEMBERED:]
            self._old.remove(tail)
            tail.close()

    def _tails(self) -> list[Tail]:
        return [*self._old, self._tail] if self._tail else list(self._old)

    def _stat(self) -> os.stat_result | None:
        """Look at the path; None where there is nothing to read. What stands in the way is counted once."""
        trouble, status = "", None
        try:
            status = os.stat(self.path)  # noqa: PTH116 — a Path a look is too dear
            if not stat.S_ISREG(status.st_mode):
                trouble = "not a regular file"
            elif self._tail is None and not os.access(self.path, os.R_OK, effective_ids=True):
                trouble = "Permission denied"
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            trouble = getattr(error, "strerror", None) or str(error)
        if trouble and trouble != self.trouble:
            self._lose("unreadable")
        self.trouble = trouble
        return None if trouble else status

    def _begin(self) -> None:
        """Open the path for the first time, after a restart of ours, or after a rotation."""
        try:
            descriptor = open_regular(self.path)
        except (OSError, ValueError):
            return  # gone or changed again; the next look sees
        saved, self._saved = self._saved, ()
        if saved:
            self._tail = self._resume(descriptor, saved)
        else:
            start = max(0, os.fstat(descriptor).st_size - HISTORY) if self._history else 0
            known = ended(descriptor, self._done)
            self._tail = Tail(descriptor, known.offset) if known else Tail(descriptor, start, skipping=start > 0)
            if self._last is not None:
                self._old += self._middles(self._last)
        self._history = False

    def _resume(self, descriptor: int, saved: Sequence[Position]) -> Tail:
        """Go on after a restart: find each file that was being read, wherever it is now; what is nowhere is counted as lost."""
        status = os.fstat(descriptor)
        current = Tail(descriptor)
        for position in saved:
            same_file = (position.device, position.inode) == (status.st_dev, status.st_ino)
            if same_file and matches(descriptor, position):
                current = Tail(descriptor, position.offset, skipping=position.skipping)
            elif (found := self._find(position, again=True)) is not None:
                self._old.append(found)
            elif position is saved[-1] or position.unread:
                self._lose("truncated" if same_file else "rotated")
        if current.offset == 0:
            self._old += packed.middles(self.path, saved[-1], self._taken(current), self._done, self._lose_rotated)
            self._old += self._middles(saved[-1], current)
        return current

    def _resume_elsewhere(self) -> None:
        """Go on after a restart where the path is missing: what it was may stand beside it under another name."""
        saved, self._saved = self._saved, ()
        for position in saved:
            if (found := self._find(position, again=True)) is not None:
                self._old.append(found)
            elif position is saved[-1] or position.unread:
                self._lose("rotated")
        self._old += packed.middles(self.path, saved[-1], self._taken(), self._done, self._lose_rotated)
        self._last = saved[-1]

    def _truncated(self, tail: Tail) -> None:
        """Begin a file again whose content is gone; the rest of the old content may stand in a copy (copytruncate)."""
        position = tail.position()
        if (copy := self._find(position, tail)) is not None:
            self._old.insert(0, copy)
        else:
            self._lose("truncated")
        tail.restart()
        self._old += self._middles(position)

    def _taken(self, *more: Tail) -> set[Identity]:
        return {(tail.device, tail.inode) for tail in (*self._tails(), *more)}

    def _find(self, position: Position, *besides: Tail, again: bool = False) -> Tail | None:
        taken = self._taken(*besides)  # `again`: after a restart; what is packed under our eyes is open, and is read
        found = find(self.path, position, taken)
        return packed.find(self.path, position, taken, self._lose_rotated) if found is None and again else found

    def _middles(self, last: Position, *besides: Tail) -> list[Tail]:
        return middles(self.path, last, self._taken(*besides), self._done)
