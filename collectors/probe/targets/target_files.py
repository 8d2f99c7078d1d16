"""The targets that stand in files: found by glob, read again when a file changed, kept when a file broke."""

from __future__ import annotations

import glob
import logging
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from collectors.files import Stamp, stamp
from collectors.model import BadInput
from collectors.probe.targets import file_sd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MOST_FILES = 1000
_NOWHERE = Stamp(0, 0, 0, 0, 0)

T = TypeVar("T")

log = logging.getLogger(__name__)


class _File(Generic[T]):
    """One file: what it looked like when it was read last, and what was kept of it when it was last in order."""

    __slots__ = ("digest", "kept", "seen", "valid")

    def __init__(self) -> None:
        self.seen: Stamp | None = None
        self.digest = b""
        self.kept: T | None = None
        self.valid = False


class TargetFiles(Generic[T]):
    """What the patterns find, and what is in it; `keep` makes of a file's groups what is worth remembering."""

    def __init__(self, patterns: Sequence[str], keep: Callable[[Iterator[file_sd.Group]], T]) -> None:
        self._patterns = patterns
        self._keep = keep
        self._files: dict[str, _File[T]] = {}

    def refresh(self) -> bool:
        """Look for changed files and read those; True when what is kept may have changed. A broken file keeps what it had."""
        found = list(matches(self._patterns))
        gone = self._files.keys() - set(found)
        for path in gone:
            del self._files[path]
        changed = [self._look(path) for path in found]
        return any(changed) or bool(gone)

    def kept(self) -> Iterator[T]:
        """Give what was kept of each file, in the order of the patterns and the files' names."""
        for file in self._files.values():
            if file.kept is not None:
                yield file.kept

    def valid(self) -> dict[str, bool]:
        """Say of each file by its path whether it was in order when it was read last."""
        return {path: file.valid for path, file in self._files.items()}

    def _look(self, path: str) -> bool:
        seen = stamp(path) or _NOWHERE
        if path in self._files and self._files[path].seen == seen:
            return False
        file = self._files.setdefault(path, _File())
        knew = file.seen is not None
        file.seen = seen
        try:
            changed = self._read(Path(path), file)
        except BadInput as bad:
            if seen == _NOWHERE:
                file.kept = None  # removed on purpose: its targets go with it
            log.warning("target file %s: %s%s", path, bad, "; its old targets stay" if file.kept else "")
            file.valid = False
            return seen == _NOWHERE
        if knew and not file.valid:
            log.info("target file %s is in order again", path)
        file.valid = True
        return changed

    def _read(self, path: Path, file: _File[T]) -> bool:
        """Read a file; one that was only written again as it was is not parsed again."""
        data = file_sd.load(path)
        digest = blake2b(data, digest_size=16).digest()
        if file.kept is not None and digest == file.digest:
            return False
        file.kept = self._keep(file_sd.each(path, data))
        file.digest = digest
        return True


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
