"""The files that rotation put beside a log: which of them is the one we were reading, and which have we never seen."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from collectors.logs.tailing.paths import rotated
from collectors.logs.tailing.tail import Position, Tail, matches, open_regular

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Identity = tuple[int, int]  # device, inode


class Sibling(NamedTuple):
    """A file that may be a rotated one; `modified` is its last change in ns."""

    path: str
    identity: Identity
    modified: int


def find(path: str, position: Position, taken: Collection[Identity]) -> Tail | None:
    """Find, beside `path`, the file that was read up to a position: the same inode if it still is it, else one with its content."""
    own = (position.device, position.inode)
    for sibling in sorted(siblings(path), key=lambda sibling: sibling.identity != own):
        if sibling.identity in taken or (position.offset == 0 and sibling.identity != own):
            continue
        descriptor = _open(sibling.path)
        if descriptor is None:
            continue
        if matches(descriptor, position):
            return Tail(descriptor, position.offset, skipping=position.skipping)
        os.close(descriptor)
    return None


def middles(path: str, last: Position, taken: Collection[Identity], done: Sequence[Position]) -> list[Tail]:
    """Find files that came and went between two looks, oldest first: newer than the last one we had, and none that we know."""
    found = []
    for sibling in sorted(siblings(path), key=lambda sibling: sibling.modified):
        if sibling.identity in taken or sibling.modified < last.modified:
            continue
        descriptor = _open(sibling.path)
        if descriptor is None:
            continue
        if last.offset and matches(descriptor, last):  # a copy of what we had: read already
            os.close(descriptor)
        else:
            known = ended(descriptor, done)
            found.append(Tail(descriptor, known.offset if known else 0))
    return found


def ended(descriptor: int, done: Sequence[Position]) -> Position | None:
    """Give the end we reached in a file earlier, if it is one of those."""
    return next((position for position in reversed(done) if position.offset and matches(descriptor, position)), None)


def siblings(path: str, *, packed: bool = False) -> list[Sibling]:
    """List the files that rotation of `path` may have made; those that were compressed since if `packed`, else the others."""
    folder, base = os.path.split(os.path.realpath(path))
    pattern = rotated(base, packed=packed)
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
