"""A log that was rotated and compressed while vitald was stopped: found by its content, and read from the saved position to its end.

Memory is bounded: one block of text, and a decompressor's window of 8 MiB. At most 2 GiB of text are skipped to reach the position.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from collectors.compression import CompressionError, Decompressor
from collectors.logs.tailing.siblings import list_siblings
from collectors.logs.tailing.tail import (
    BLOCK_BYTES,
    HEAD_BYTES,
    TAIL_BYTES,
    FilePosition,
    LineBlock,
    Tail,
    hash_matches,
    is_text_of_read,
    open_regular,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from collectors.logs.tailing.siblings import FileId, Known

MAX_SKIPPED = 2 << 30  # bytes; gzip takes 3 s of CPU a GiB
MEMORY = 12 << 20  # bytes: a window of 8 MiB, which xz -6 and zstd -19 use, and a decoder's own state
_STEP = 1 << 20
_MTIME_PRECISION = 1_000_000_000  # ns: bzip2 keeps a file's time by the second
_COPY_SECONDS = 3600  # that a log is written to after it was copied, before it is truncated


class CompressedTail(Tail):
    """Text of a compressed file. Positions are offsets in the text, so they match it under any name and compression."""

    def __init__(self, descriptor: int, on_damage: Callable[[], None]) -> None:
        """Start at the beginning of the text; `on_damage` is called once if it ends early. Raises CompressionError, OSError."""
        super().__init__(descriptor)
        self._on_damage = on_damage
        self._compressed_size = self.size_and_mtime[0]
        self._compressed_offset = 0
        self._text = Decompressor(self._read_compressed, MEMORY)
        self._buffer = b""
        self._ended = False  # the text's end is reached, or damage
        self.is_copy_of_read = False

    def _read_compressed(self, size: int) -> bytes:
        data = os.pread(self.descriptor, size, self._compressed_offset)
        self._compressed_offset += len(data)
        return data

    @property
    def size(self) -> int:
        """Lower bound of the text's size: what was read, and the compressed bytes that are left."""
        left = 0 if self._ended else max(0, self._compressed_size - self._compressed_offset) + len(self._text.unused)
        return self.offset + len(self._buffer) + left

    def is_unchanged(self) -> bool:
        """Return True: a compressed file does not change."""
        return True

    def seek(self, position: FilePosition) -> bool:
        """Continue at `position`; False where this is another file's text, or a damaged one.

        `is_copy_of_read` is then True if the text is a copy of less than what was read up to the position.
        """
        self.is_copy_of_read = False
        before = {offset: b"" for offset, _ in position.marks}
        try:
            head = tail = b""
            at = 0
            while at < min(position.offset, MAX_SKIPPED):
                if not (chunk := self._text.read(min(_STEP, position.offset - at))):
                    self.is_copy_of_read = at > 0 and is_text_of_read(head, at, position, lambda offset: before[offset])
                    self.offset, self._head, self._tail = at, head, tail
                    return False
                if len(head) < HEAD_BYTES:
                    head = (head + chunk)[:HEAD_BYTES]
                    if len(head) >= position.head_length and not hash_matches(head[: position.head_length], position.head_hash):
                        return False
                for offset in before:
                    if at < offset <= at + len(chunk):
                        before[offset] = (tail + chunk[: offset - at])[-TAIL_BYTES:]
                at += len(chunk)
                tail = (tail + chunk)[-TAIL_BYTES:]
        except (CompressionError, OSError):
            return False
        if (
            at != position.offset
            or not hash_matches(head[: position.head_length], position.head_hash)
            or not hash_matches(tail, position.tail_hash)
        ):
            return False
        self.offset, self.skipping, self._head, self._tail = at, position.skipping, head, tail
        return True

    def _read(self, *, final: bool) -> LineBlock | None:
        self._fill_buffer()
        if not (data := self._buffer[:BLOCK_BYTES]):
            return None
        before = self.offset
        if data[0] == 0:
            self._advance(data[: len(data) - len(data.lstrip(b"\0"))])
            block: LineBlock | None = LineBlock(b"", 0)
        else:
            block = self._consume(data, final=final or self._ended)
        self._buffer = self._buffer[self.offset - before :]
        return block

    def _fill_buffer(self) -> None:
        try:
            while len(self._buffer) < BLOCK_BYTES and not self._ended:
                more = self._text.read(BLOCK_BYTES)
                self._buffer += more
                self._ended = not more
        except (CompressionError, OSError):
            self._ended = True
            self._on_damage()


def find_compressed(path: str, position: FilePosition, known: Known, on_damage: Callable[[], None]) -> Tail | None:
    """Find, among the compressed files beside `path`, the one that was read up to a position before it was compressed."""
    if not position.offset:  # nothing was read of it, so no content identifies it: it is the oldest that is new
        new = missed_compressed(path, position, known, on_damage)
        for tail in new[1:]:
            tail.close()
        return new[0] if new else None
    for tail in _open_all(path, known.taken, on_damage):
        if tail.seek(position):
            return tail
        tail.close()
    return None


def find_compressed_copy_of_read(path: str, position: FilePosition, taken: Collection[FileId]) -> FilePosition | None:
    """Find, among the compressed files beside `path`, a copy of less than what was read up to a position, and return the copy's end."""
    for tail in _open_all(path, taken, lambda: None, since=position.modified - _COPY_SECONDS * _MTIME_PRECISION):
        tail.seek(position)
        end = tail.position() if tail.is_copy_of_read else None
        tail.close()
        if end is not None:
            return end
    return None


def missed_compressed(path: str, last: FilePosition, known: Known, on_damage: Callable[[], None]) -> list[Tail]:
    """Find compressed files that are newer than `last` and were never read, oldest first (they keep the mtime of the log)."""
    found: list[Tail] = []
    read = [position for position in (last, *known.finished) if position.offset]
    open_ends = [end for tail in known.following if (end := tail.end()) is not None]
    for tail in _open_all(path, known.taken, on_damage, since=last.modified - _MTIME_PRECISION):
        identity = ((tail.device, tail.inode), tail.modified)
        if identity in known.read_compressed:
            tail.close()
            continue
        is_last = known.copied and last.offset > 0 and _is_copy(tail, last)
        is_read = is_last or any(CompressedTail(tail.descriptor, lambda: None).seek(position) for position in read)
        if is_read or any(_is_copy(tail, end) for end in open_ends):
            tail.close()
            known.read_compressed.add(identity)
        else:
            found.append(tail)
    return found


def _is_copy(tail: CompressedTail, position: FilePosition) -> bool:
    """Return whether the text is the whole, or the beginning, of what is before a position."""
    text = CompressedTail(tail.descriptor, lambda: None)
    return text.seek(position) or text.is_copy_of_read


def _open_all(path: str, taken: Collection[FileId], on_damage: Callable[[], None], since: int = 0) -> Iterator[CompressedTail]:
    for sibling in sorted(list_siblings(path, compressed=True), key=lambda sibling: sibling.modified):
        in_progress = os.path.exists(os.path.splitext(sibling.path)[0])  # noqa: PTH110, PTH122 — texts; gzip deletes it at its end
        if in_progress or sibling.file_id in taken or sibling.modified < since:
            continue
        with contextlib.suppress(OSError, ValueError):
            descriptor = open_regular(sibling.path)
            try:
                tail = CompressedTail(descriptor, on_damage)
            except (CompressionError, OSError):  # no supported compression
                os.close(descriptor)
            else:
                yield tail
