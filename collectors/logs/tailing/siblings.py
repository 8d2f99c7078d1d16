"""Rotated files beside a log: which of them is the file that was being read, and which were never read."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from collectors.logs.tailing.paths import rotated_name_pattern
from collectors.logs.tailing.tail import FilePosition, Tail, content_matches, open_regular

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

FileId = tuple[int, int]  # device, inode


class Sibling(NamedTuple):
    """A file that may be a rotated one; `modified` is its mtime in ns."""

    path: str
    file_id: FileId
    modified: int


def find_rotated(path: str, position: FilePosition, taken: Collection[FileId]) -> Tail | None:
    """Find, beside `path`, the file that was read up to a position: the same inode with the same content, else a copy of the content."""
    own = (position.device, position.inode)
    for sibling in sorted(list_siblings(path), key=lambda sibling: sibling.file_id != own):
        if sibling.file_id in taken or (position.offset == 0 and sibling.file_id != own):
            continue
        if (descriptor := _open(sibling.path)) is None:
            continue
        if content_matches(descriptor, position):
            return Tail(descriptor, position.offset, skipping=position.skipping)
        os.close(descriptor)
    return None


def missed_rotations(path: str, last: FilePosition, taken: Collection[FileId], finished: Sequence[FilePosition]) -> list[Tail]:
    """Find files that were created and rotated away between two refreshes, oldest first: newer than `last` and never read."""
    found = []
    for sibling in sorted(list_siblings(path), key=lambda sibling: sibling.modified):
        if sibling.file_id in taken or sibling.modified < last.modified:
            continue
        if (descriptor := _open(sibling.path)) is None:
            continue
        if last.offset and content_matches(descriptor, last):  # a copy of the last file: read already
            os.close(descriptor)
        else:
            known = find_finished(descriptor, finished)
            found.append(Tail(descriptor, known.offset if known else 0))
    return found


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
