"""A log that was rotated and compressed while we were stopped: found by what is in it, and read from where we were to its end.

Bounded: a block of text at a time, 8 MiB for a decompressor's own memory, 2 GiB of text on the way to where reading goes on.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from collectors.logs.tailing.decompressor import DAMAGE, Unpacked
from collectors.logs.tailing.siblings import siblings
from collectors.logs.tailing.tail import BLOCK, HEAD, JOIN, Piece, Position, Tail, fits, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from collectors.logs.tailing.siblings import Identity

MOST_PASSED = 2 << 30  # bytes; gzip takes 3 s of CPU a GiB
_STEP = 1 << 20
_COARSE = 1_000_000_000  # ns: bzip2 keeps a file's time by the second


class Packed(Tail):
    """The text of a compressed file, from a place on. Positions speak of the text, so that they fit it under any name and packing."""

    def __init__(self, descriptor: int, text: Unpacked, damaged: Callable[[], None]) -> None:
        """Begin at the start of the text; `damaged` is told once if it ends early."""
        super().__init__(descriptor)
        self._text, self._damaged = text, damaged
        self._ahead = b""
        self._over = False  # nothing more comes of it

    @property
    def size(self) -> int:
        """Guess the text's size: what was read, and what is still packed."""
        return self.offset + len(self._ahead) + self._text.left

    def unchanged(self) -> bool:
        """Nobody adds to a compressed file, or takes anything away."""
        return True

    def go_to(self, position: Position) -> bool:
        """Go on where `position` is; False where this is another file's text, or a damaged one."""
        try:
            head = passed = b""
            at = 0
            while at < min(position.offset, MOST_PASSED):
                chunk = self._text.read(min(_STEP, position.offset - at))
                if not chunk:
                    return False
                if len(head) < HEAD:
                    head = (head + chunk)[:HEAD]
                    if len(head) >= position.head_length and not fits(head[: position.head_length], position.head):
                        return False
                at += len(chunk)
                passed = (passed + chunk)[-JOIN:]
        except DAMAGE:
            return False
        if at != position.offset or not fits(head[: position.head_length], position.head) or not fits(passed, position.join):
            return False
        self.offset, self.skipping, self._head, self._join = at, position.skipping, head, passed
        return True

    def _read(self, *, final: bool) -> Piece | None:
        self._fill()
        data = self._ahead[:BLOCK]
        if not data:
            return None
        before = self.offset
        if data[0] == 0:
            run = len(data) - len(data.lstrip(b"\0"))
            self._move(data[:run])
            piece: Piece | None = Piece(b"", run, 0)
        else:
            piece = self._take(data, final=final or self._over)
        self._ahead = self._ahead[self.offset - before :]
        return piece

    def _fill(self) -> None:
        """Unpack as much as one block."""
        try:
            while len(self._ahead) < BLOCK and not self._over:
                more = self._text.read(BLOCK)
                self._ahead += more
                self._over = not more
        except DAMAGE:
            self._over = True
            self._text.give_up()
            self._damaged()


def find(path: str, position: Position, taken: Collection[Identity], damaged: Callable[[], None]) -> Tail | None:
    """Find, among the compressed files beside `path`, the one that was read up to a position before it was packed."""
    if not position.offset:  # nothing was read of it, so nobody can know it again: it is the oldest that is new
        new = middles(path, position, taken, (), damaged)
        for tail in new[1:]:
            tail.close()
        return new[0] if new else None
    for tail in _open_all(path, taken, damaged):
        if tail.go_to(position):
            return tail
        tail.close()
    return None


def middles(path: str, last: Position, taken: Collection[Identity], done: Sequence[Position], damaged: Callable[[], None]) -> list[Tail]:
    """Find compressed files that are newer than the last one we had and none that we know, oldest first (their times are the logs')."""
    found: list[Tail] = []
    for tail in _open_all(path, taken, damaged, since=last.modified - _COARSE):
        known = [position for position in (last, *done) if position.offset]
        if any(_again(tail, position) for position in known):
            tail.close()
        else:
            found.append(tail)
    return found


def _again(tail: Packed, position: Position) -> bool:
    """Say whether a file's text is one that was read up to `position`; leaves the file as it is."""
    return Packed(tail.descriptor, Unpacked(tail.descriptor), lambda: None).go_to(position)


def _open_all(path: str, taken: Collection[Identity], damaged: Callable[[], None], since: int = 0) -> Iterator[Packed]:
    for sibling in sorted(siblings(path, packed=True), key=lambda sibling: sibling.modified):
        being_packed = os.path.exists(os.path.splitext(sibling.path)[0])  # noqa: PTH110, PTH122 — texts; gzip deletes it at its end
        if being_packed or sibling.identity in taken or sibling.modified < since:
            continue
        with contextlib.suppress(OSError, ValueError):
            descriptor = open_regular(sibling.path)
            try:
                tail = Packed(descriptor, Unpacked(descriptor), damaged)
            except DAMAGE:  # no compression that we know
                os.close(descriptor)
            else:
                yield tail
