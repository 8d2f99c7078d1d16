"""The targets that stand in files: found by glob, read again when a file changed, kept when a file broke."""

from __future__ import annotations

import glob
import logging
import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.model import BadInput
from collectors.probe import file_sd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MOST_FILES = 1000

log = logging.getLogger(__name__)


class _File:
    """One file: what it looked like when it was read last, and the groups it gave when it was last in order."""

    __slots__ = ("groups", "seen", "valid")

    def __init__(self) -> None:
        self.seen: tuple[int, int, int] | None = None
        self.groups: tuple[file_sd.Group, ...] = ()
        self.valid = False


class TargetFiles:
    """What the patterns find, and what is in it."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = patterns
        self._files: dict[str, _File] = {}

    def refresh(self) -> bool:
        """Look for changed files and read those; True when the groups may have changed. A broken file keeps its old groups."""
        found = list(matches(self._patterns))
        gone = self._files.keys() - set(found)
        for path in gone:
            del self._files[path]
        changed = [self._look(path) for path in found]
        return any(changed) or bool(gone)

    def groups(self) -> Iterator[file_sd.Group]:
        """Give the groups of all files, in the order of the patterns and the files' names."""
        for file in self._files.values():
            yield from file.groups

    def valid(self) -> dict[str, bool]:
        """Say of each file by its path whether it was in order when it was read last."""
        return {path: file.valid for path, file in self._files.items()}

    def _look(self, path: str) -> bool:
        seen = _signature(path)
        if path in self._files and self._files[path].seen == seen:
            return False
        file = self._files.setdefault(path, _File())
        knew = file.seen is not None
        file.seen = seen
        try:
            file.groups = file_sd.read(Path(path))
        except BadInput as bad:
            if seen == _NOWHERE:
                file.groups = ()  # removed on purpose: its targets go with it
            log.warning("target file %s: %s%s", path, bad, "; its old targets stay" if file.groups else "")
            file.valid = False
            return seen == _NOWHERE
        if knew and not file.valid:
            log.info("target file %s is in order again", path)
        file.valid = True
        return True


_NOWHERE = (0, 0, 0)


def _signature(path: str) -> tuple[int, int, int]:
    """Tell two versions of a file apart without reading it."""
    try:
        status = os.stat(path)  # noqa: PTH116 — as a string, since a Path a file a sweep would be the sweep's main cost
    except OSError:
        return _NOWHERE
    return status.st_mtime_ns, status.st_ino, status.st_size


def matches(patterns: Iterable[str]) -> Iterator[str]:
    """Give the paths that the patterns mean, each once; a pattern without wildcards means its file, also while that is missing."""
    found = (path for pattern in patterns for path in (sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]))  # noqa: PTH207
    return islice(dict.fromkeys(found), MOST_FILES)


def problems(patterns: Iterable[str]) -> Iterator[str]:
    """Name each file that is not in order, and why."""
    for path in matches(patterns):
        try:
            file_sd.read(Path(path))
        except BadInput as bad:
            yield f"{path}: {bad}"
