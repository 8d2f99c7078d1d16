"""Rotated files beside a log: which of them is the file that was being read, and which were never read."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from collectors.logs.tailing.paths import rotated_name_pattern
from collectors.logs.tailing.tail import (
    HEAD_BYTES,
    TAIL_BYTES,
    FilePosition,
    Tail,
    content_matches,
    is_copy_of_read,
    open_regular,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

FileId = tuple[int, int]  # device, inode


class Sibling(NamedTuple):
    """A file that may be a rotated one; `modified` is its mtime in ns."""

    path: str
    file_id: FileId
    modified: int


class Known(NamedTuple):
    """What is no missed file: a copy of what a file of `following` holds, the files of `taken`, and what was read up to `finished`.

    `copied` is True if the log was rotated by copy: then a copy of less than what was read is none either. `read_compressed` gets
    the compressed files that were found to hold nothing new, with their mtime: they are not decompressed again.
    """

    taken: Collection[FileId]
    following: Sequence[Tail]
    finished: Sequence[FilePosition]
    read_compressed: set[tuple[FileId, int]]
    copied: bool = False


def find_rotated(path: str, position: FilePosition, known: Known) -> Tail | None:
    """Find, beside `path`, the file that was read up to a position: the same inode with the same content, else a copy of the content."""
    own = (position.device, position.inode)
    for sibling in sorted(list_siblings(path), key=lambda sibling: sibling.file_id != own):
        if sibling.file_id in known.taken or (position.offset == 0 and sibling.file_id != own):
            continue
        if (descriptor := _open(sibling.path)) is None:
            continue
        if content_matches(descriptor, position) and (position.offset or not _is_copy_of(descriptor, known.following)):
            end = None if position.offset else find_finished(descriptor, known.finished)
            return _found(Tail(descriptor, end.offset) if end else Tail.at(descriptor, position))
        os.close(descriptor)
    return None


def _found(tail: Tail) -> Tail:
    tail.was_found_empty = tail.size == 0
    return tail


def find_copy_of_read(path: str, position: FilePosition, taken: Collection[FileId]) -> FilePosition | None:
    """Find, beside `path`, a copy of less than what was read up to a position, and return the copy's end."""
    for sibling in list_siblings(path):
        if sibling.file_id in taken or (descriptor := _open(sibling.path)) is None:
            continue
        try:
            if is_copy_of_read(descriptor, position):
                return Tail(descriptor, os.fstat(descriptor).st_size).position()
        finally:
            os.close(descriptor)
    return None


def missed_rotations(path: str, last: FilePosition, known: Known) -> list[Tail]:
    """Find files that were created and rotated away between two refreshes, oldest first: newer than `last` and never read."""
    found = []
    for sibling in sorted(list_siblings(path), key=lambda sibling: sibling.modified):
        if sibling.file_id in known.taken or sibling.modified < last.modified:
            continue
        if (descriptor := _open(sibling.path)) is None:
            continue
        is_read = (last.offset and content_matches(descriptor, last)) or (known.copied and is_copy_of_read(descriptor, last))
        if is_read or _is_copy_of(descriptor, known.following):
            os.close(descriptor)
        else:
            end = find_finished(descriptor, known.finished)
            found.append(_found(Tail(descriptor, end.offset if end else 0)))
    return found


def end_of(path: str) -> FilePosition | None:
    """Return the position of a file's present end; None for an empty file, or one that cannot be read."""
    if (descriptor := _open(path)) is None:
        return None
    try:
        return Tail(descriptor).end()
    finally:
        os.close(descriptor)


def is_copy(descriptor: int, tail: Tail) -> bool:
    """Return whether a file is a copy of the path's file, made before or after it was read."""
    position = tail.position()
    is_read = position.offset > 0 and (content_matches(descriptor, position) or is_copy_of_read(descriptor, position))
    return is_read or _is_copy_of(descriptor, (tail,))


def _is_copy_of(descriptor: int, following: Sequence[Tail]) -> bool:
    """Return whether a file is a copy of the whole or the beginning of a file that is open, whatever was read of it."""
    size = os.fstat(descriptor).st_size
    head = os.pread(descriptor, min(size, HEAD_BYTES), 0)
    last = os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
    return any(tail.is_same_text(head, size, last) for tail in following)


def find_finished(descriptor: int, finished: Sequence[FilePosition]) -> FilePosition | None:
    """Return the end position of a file that was read before, if it is one of `finished`."""
    return next((position for position in reversed(finished) if position.offset and content_matches(descriptor, position)), None)


def list_siblings(path: str, *, compressed: bool = False) -> list[Sibling]:
    """List the files that rotation of `path` may have made: the compressed ones, or the others."""
    folder, base = os.path.split(os.path.realpath(path))
    pattern = rotated_name_pattern(base, compressed=compressed)
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        found.append(Sibling(entry.path, (status.st_dev, status.st_ino), status.st_mtime_ns))
    return found


def _open(path: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return open_regular(path)
    return None
