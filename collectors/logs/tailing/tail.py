"""One open log file, read by whole lines from an offset, and a position that finds the same place again.

A file is recognised by what is in it, not by its name or inode alone: names move at a rotation, inodes are used again, and a file that
was truncated keeps both. A position therefore carries hashes of the file's first bytes and of the bytes just before the offset.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import NamedTuple

import msgspec

BLOCK = 256 * 1024  # read at once; a line that is longer is dropped and counted
HEAD = 256
JOIN = 64


class Position(msgspec.Struct, frozen=True):
    """Where reading goes on. `head` and `join` are hashes; `modified` is the file's last change in ns, as last seen."""

    device: int
    inode: int
    offset: int
    head: str
    head_length: int
    join: str
    modified: int
    skipping: bool = False
    unread: int = 0  # bytes behind the offset when this was written down


class Piece(NamedTuple):
    """What one read gave: a block of whole lines (perhaps empty), the bytes that were passed, and lines too long to be read."""

    block: bytes
    passed: int
    oversize: int


class Tail:
    """A descriptor with an offset. The offset only ever stands behind a line's end, so an unfinished line is read again, whole."""

    def __init__(self, descriptor: int, offset: int = 0, *, skipping: bool = False) -> None:
        status = os.fstat(descriptor)
        self.descriptor = descriptor
        self.device, self.inode = status.st_dev, status.st_ino
        self.offset = offset
        self.modified = status.st_mtime_ns
        self.skipping = skipping  # within a line whose beginning is not ours: too long, or before our time
        self.seen = (status.st_size, status.st_mtime_ns)  # at the last look
        self.quiet_since: float | None = None
        self.finished = False
        self.drained = False  # the last read found nothing more
        self._head = os.pread(descriptor, min(HEAD, offset), 0)
        self._join = _before(descriptor, offset)

    @property
    def size(self) -> int:
        """Give the file's present size in bytes."""
        return os.fstat(self.descriptor).st_size

    def position(self) -> Position:
        """Give the place reached, to be found again by `matches`."""
        return Position(
            self.device, self.inode, self.offset, _hash(self._head), len(self._head), _hash(self._join), self.modified, self.skipping,
            max(0, self.size - self.offset),
        )  # fmt: skip

    def unchanged(self) -> bool:
        """Say whether what was read is still in the file; False after a truncation, even if the file has grown again since."""
        if self.size < self.offset:
            return False
        return os.pread(self.descriptor, len(self._head), 0) == self._head and _before(self.descriptor, self.offset) == self._join

    def restart(self) -> None:
        """Begin again at the start of the file."""
        self.offset, self._head, self._join, self.skipping = 0, b"", b"", False

    def read(self, *, final: bool = False) -> Piece | None:
        """Read on, at most one block. None: nothing to be had, or (`unchanged` says so) what there was is gone.

        `final` takes an unfinished last line as a line: nobody will finish it.
        """
        piece = self._read(final=final)
        self.drained = piece is None
        return piece

    def _read(self, *, final: bool) -> Piece | None:
        status = os.fstat(self.descriptor)
        self.modified = status.st_mtime_ns
        if status.st_size <= self.offset:
            return None
        data = os.pread(self.descriptor, BLOCK, self.offset)
        if not data or not self.unchanged():
            return None
        return self._skip_nuls(data, status.st_size) if data[0] == 0 else self._take(data, final=final)

    def _take(self, data: bytes, *, final: bool) -> Piece | None:
        cut = data.rfind(b"\n") + 1
        oversize = 0
        if not cut:
            if len(data) >= BLOCK:
                oversize = not self.skipping
                self.skipping = True
            elif not final:
                return None
            cut = len(data)
        block = data[:cut]
        self._move(block)
        if self.skipping:
            end = block.find(b"\n") + 1
            self.skipping = not end and not final
            block = block[end:] if end else b""
        return Piece(block if block.endswith(b"\n") or not block else block + b"\n", cut, oversize)

    def _skip_nuls(self, data: bytes, size: int) -> Piece | None:
        """Pass over NULs, which a truncation leaves under a writer that does not append: a hole, as long as the old file was."""
        run = len(data) - len(data.lstrip(b"\0"))
        if run < len(data):
            self._move(data[:run])
            return Piece(b"", run, 0)
        try:
            target = os.lseek(self.descriptor, self.offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole up to the end: somebody may still write into it
                return None
            raise
        target = max(target, self.offset + len(data))
        if target >= size:
            return None
        passed, self.offset = target - self.offset, target
        self._join = _before(self.descriptor, target)
        return Piece(b"", passed, 0)

    def _move(self, data: bytes) -> None:
        if len(self._head) < HEAD and len(self._head) == self.offset:
            self._head = (self._head + data[:HEAD])[:HEAD]
        self._join = (self._join + data[-JOIN:])[-JOIN:]
        self.offset += len(data)

    def close(self) -> None:
        """Let the file go."""
        os.close(self.descriptor)


def open_regular(path: str) -> int:
    """Open a regular file for reading; never waits. OSError: it cannot be opened; ValueError: it is no regular file."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 — a Path a look is too dear
        # Opening a device or a FIFO can have effects of its own.
        raise ValueError("not a regular file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("not a regular file")
    return descriptor


def matches(descriptor: int, position: Position) -> bool:
    """Say whether a file holds what was read up to a position, whatever its name and inode are now."""
    if os.fstat(descriptor).st_size < position.offset:
        return False
    head = os.pread(descriptor, position.head_length, 0)
    return fits(head, position.head) and fits(_before(descriptor, position.offset), position.join)


def fits(data: bytes, told: str) -> bool:
    """Say whether a position's `head` or `join` is of these bytes."""
    return _hash(data) == told


def _before(descriptor: int, offset: int) -> bytes:
    length = min(JOIN, offset)
    return os.pread(descriptor, length, offset - length)


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
