"""One open log file, read by whole lines from an offset, and a position that identifies the same place after a restart.

A file is identified by its content, not by its name or inode alone: names move at a rotation, inodes are reused, and a file that
was truncated keeps both. A position therefore carries hashes of the file's first bytes and of the bytes just before the offset.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import Meta

from collectors.state import Count  # noqa: TC001 — msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK_BYTES = 256 * 1024  # read at once; a line that is longer is dropped and counted
HEAD_BYTES = 256
TAIL_BYTES = 64
FIRST_MARK = 1024  # offset of the first mark; each further one is at four times the offset
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]


class FilePosition(msgspec.Struct, frozen=True):
    """Where reading continues. `head_hash` covers the first `head_length` bytes, `tail_hash` the last TAIL_BYTES before the offset.

    `modified` is the file's mtime in ns, as of the last read. `head` is the first bytes themselves, and each of `marks` is an offset
    below `offset` with the hash of the TAIL_BYTES before it: they identify a shorter copy of what was read (`is_copy_of_read`).
    """

    device: Annotated[int, Meta(ge=0)]
    inode: Annotated[int, Meta(ge=0)]
    offset: Count
    head_hash: Hash
    head_length: Annotated[int, Meta(ge=0, le=HEAD_BYTES)]
    tail_hash: Hash
    modified: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    skipping: bool = False
    unread: Count = 0  # bytes after the offset when the position was saved
    head: Annotated[bytes, Meta(max_length=HEAD_BYTES)] = b""
    marks: Annotated[tuple[tuple[Count, Hash], ...], Meta(max_length=32)] = ()


class LineBlock(NamedTuple):
    """Result of one read: whole lines (perhaps none), and how many lines were too long and dropped."""

    lines: bytes
    oversize: int


class Tail:
    """A descriptor with an offset. The offset is always at a line's start, so an unfinished line is read again, whole."""

    def __init__(self, descriptor: int, offset: int = 0, *, skipping: bool = False, marks: tuple[tuple[int, str], ...] = ()) -> None:
        status = os.fstat(descriptor)
        self.descriptor = descriptor
        self.device, self.inode = status.st_dev, status.st_ino
        self.offset = offset
        self.modified = status.st_mtime_ns
        self.skipping = skipping  # within a line whose beginning is not read: too long, or before the start of reading
        self.size_and_mtime = (status.st_size, status.st_mtime_ns)  # at the last refresh
        self.idle_since: float | None = None
        self.finished = False
        self.was_found_empty = False  # found beside the path before anything was written to it: a copy may begin so
        self.drained = False  # the last read returned nothing
        self._head = os.pread(descriptor, min(HEAD_BYTES, offset), 0)
        self._tail = _bytes_before(descriptor, offset)
        self._marks = marks
        self._next_mark = _mark_after(offset)

    @classmethod
    def at(cls, descriptor: int, position: FilePosition) -> Tail:
        """Continue at a position, which `content_matches` has found in the file."""
        return cls(descriptor, position.offset, skipping=position.skipping, marks=position.marks)

    @property
    def size(self) -> int:
        """The file's present size in bytes."""
        return os.fstat(self.descriptor).st_size

    def position(self) -> FilePosition:
        """Return the place reached, for `content_matches`."""
        return FilePosition(
            self.device, self.inode, self.offset, _hash(self._head), len(self._head), _hash(self._tail), self.modified, self.skipping,
            max(0, self.size - self.offset), self._head, self._marks,
        )  # fmt: skip

    def end(self) -> FilePosition | None:
        """Return the position of the file's present end, read or not; None for an empty file."""
        size = self.size
        if not size:
            return None
        head = os.pread(self.descriptor, min(HEAD_BYTES, size), 0)
        last = _bytes_before(self.descriptor, size)
        return FilePosition(self.device, self.inode, size, _hash(head), len(head), _hash(last), self.modified, head=head)

    def is_same_text(self, head: bytes, size: int, last: bytes) -> bool:
        """Return whether the file begins with a text of `size` bytes, read or not; `head` and `last` are that text's ends."""
        return (
            0 < size <= self.size
            and os.pread(self.descriptor, len(head), 0) == head
            and _bytes_before(self.descriptor, size)[-len(last) :] == last
        )

    def is_unchanged(self) -> bool:
        """Return whether what was read is still in the file; False after a truncation, even if the file has grown again since."""
        if self.size < self.offset:
            return False
        return os.pread(self.descriptor, len(self._head), 0) == self._head and _bytes_before(self.descriptor, self.offset) == self._tail

    def rewind(self) -> None:
        """Continue at the start of the file."""
        self.offset, self._head, self._tail, self.skipping = 0, b"", b"", False
        self._marks, self._next_mark = (), FIRST_MARK

    def read(self, *, final: bool = False) -> LineBlock | None:
        """Read at most one block. None: there is nothing new, or the file was truncated (`is_unchanged`).

        `final` returns an unfinished last line too: its writer is gone.
        """
        block = self._read(final=final)
        self.drained = block is None
        return block

    def _read(self, *, final: bool) -> LineBlock | None:
        status = os.fstat(self.descriptor)
        self.modified = status.st_mtime_ns
        if status.st_size <= self.offset:
            return None
        data = os.pread(self.descriptor, BLOCK_BYTES, self.offset)
        if not data or not self.is_unchanged():
            return None
        return self._skip_nuls(data, status.st_size) if data[0] == 0 else self._consume(data, final=final)

    def _consume(self, data: bytes, *, final: bool) -> LineBlock | None:
        cut = data.rfind(b"\n") + 1
        oversize = 0
        if not cut:
            if len(data) >= BLOCK_BYTES:
                oversize = not self.skipping
                self.skipping = True
            elif not final:
                return None
            cut = len(data)
        lines = data[:cut]
        self._advance(lines)
        if self.skipping:
            end = lines.find(b"\n") + 1
            self.skipping = not end and not final
            lines = lines[end:] if end else b""
        return LineBlock(lines if lines.endswith(b"\n") or not lines else lines + b"\n", oversize)

    def _skip_nuls(self, data: bytes, size: int) -> LineBlock | None:
        """Skip NULs, which a truncation leaves under a writer without O_APPEND: a hole, as long as the old file was."""
        run = len(data) - len(data.lstrip(b"\0"))
        if run < len(data):
            self._advance(data[:run])
            return LineBlock(b"", 0)
        try:
            target = os.lseek(self.descriptor, self.offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole up to the end: its writer may still fill it
                return None
            raise
        target = max(target, self.offset + len(data))
        if target >= size:
            return None
        self.offset = target
        self._tail = _bytes_before(self.descriptor, target)
        self._next_mark = _mark_after(target)
        return LineBlock(b"", 0)

    def _advance(self, data: bytes) -> None:
        if len(self._head) < HEAD_BYTES and len(self._head) == self.offset:
            self._head = (self._head + data[:HEAD_BYTES])[:HEAD_BYTES]
        while self._next_mark <= self.offset + len(data):
            at = self._next_mark - self.offset
            before = data[max(0, at - TAIL_BYTES) : at]
            before = (self._tail + before)[-TAIL_BYTES:]
            self._marks = (*self._marks, (self._next_mark, _hash(before)))
            self._next_mark *= 4
        self._tail = (self._tail + data[-TAIL_BYTES:])[-TAIL_BYTES:]
        self.offset += len(data)

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


def open_regular(path: str) -> int:
    """Open a regular file for reading, without blocking. Raises OSError, and ValueError for what is no regular file."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 — a Path for each check costs too much
        # Opening a device or a FIFO can have effects of its own.
        raise ValueError("not a regular file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("not a regular file")
    return descriptor


def content_matches(descriptor: int, position: FilePosition) -> bool:
    """Return whether a file holds what was read up to a position, whatever its name and inode are now."""
    if os.fstat(descriptor).st_size < position.offset:
        return False
    head = os.pread(descriptor, position.head_length, 0)
    return hash_matches(head, position.head_hash) and hash_matches(_bytes_before(descriptor, position.offset), position.tail_hash)


def is_copy_of_read(descriptor: int, position: FilePosition) -> bool:
    """Return whether a file is a copy of less than what was read up to a position: it was made before the rest was written."""
    size = os.fstat(descriptor).st_size
    return 0 < size < position.offset and is_text_of_read(
        os.pread(descriptor, HEAD_BYTES, 0), size, position, lambda offset: _bytes_before(descriptor, offset)
    )


def is_text_of_read(head: bytes, size: int, position: FilePosition, before: Callable[[int], bytes]) -> bool:
    """Return whether a text that begins with `head` is the beginning of what was read; `before` returns the bytes before an offset."""
    length = min(len(head), len(position.head))
    return (
        length > 0
        and head[:length] == position.head[:length]
        and all(hash_matches(before(offset), expected) for offset, expected in position.marks if offset <= size)
    )


def nothing_read(modified: int) -> FilePosition:
    """Return the position of a file that was not there at a time, in ns."""
    return FilePosition(0, 0, 0, _hash(b""), 0, _hash(b""), modified)


def hash_matches(data: bytes, expected: str) -> bool:
    """Return whether a position's `head_hash` or `tail_hash` is that of `data`."""
    return _hash(data) == expected


def _mark_after(offset: int) -> int:
    mark = FIRST_MARK
    while mark <= offset:
        mark *= 4
    return mark


def _bytes_before(descriptor: int, offset: int) -> bytes:
    length = min(TAIL_BYTES, offset)
    return os.pread(descriptor, length, offset - length)


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
