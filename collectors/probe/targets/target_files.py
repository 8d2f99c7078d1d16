"""Target files: found by glob, read again when a file changed, the last valid contents kept while a file is broken."""

from __future__ import annotations

import glob
import logging
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from collectors.disk import note
from collectors.files import Stamp, stamp
from collectors.model import BadInput
from collectors.probe.targets import file_sd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MAX_FILES = 1000
_MISSING = Stamp(0, 0, 0, 0, 0)

T = TypeVar("T")

log = logging.getLogger(__name__)


class _File(Generic[T]):
    """One file: its stamp at the last read, and the contents at the last valid read."""

    __slots__ = ("digest", "kept", "stamp", "valid")

    def __init__(self) -> None:
        self.stamp: Stamp | None = None
        self.digest = b""
        self.kept: T | None = None
        self.valid = False


class TargetFiles(Generic[T]):
    """The files of some glob patterns and their contents; `reduce` turns a file's groups into what is kept of them."""

    def __init__(self, patterns: Sequence[str], reduce: Callable[[Iterator[file_sd.Group]], T]) -> None:
        self._patterns = patterns
        self._reduce = reduce
        self._files: dict[str, _File[T]] = {}

    def refresh(self) -> bool:
        """Read the files that have changed; True when the kept contents may have changed. A broken file keeps its last valid contents."""
        paths = list(matches(self._patterns))
        gone = self._files.keys() - set(paths)
        for path in gone:
            del self._files[path]
        changed = [self._refresh(path) for path in paths]
        return any(changed) or bool(gone)

    def kept(self) -> Iterator[T]:
        """Yield the kept contents of each file, in the order of the patterns and the files' names."""
        for file in self._files.values():
            if file.kept is not None:
                yield file.kept

    def valid(self) -> dict[str, bool]:
        """Return by path whether each file's last read was valid."""
        return {path: file.valid for path, file in self._files.items()}

    def _refresh(self, path: str) -> bool:
        note(path)
        new = stamp(path) or _MISSING
        if path in self._files and self._files[path].stamp == new:
            return False
        file = self._files.setdefault(path, _File())
        was_read, file.stamp = file.stamp is not None, new
        try:
            changed = self._read(Path(path), file)
        except BadInput as error:
            if new == _MISSING:
                file.kept = None  # removed on purpose, and its targets with it
            log.warning("target file rejected%s file=%s error=%s", ", keeping its last targets" if file.kept else "", path, error)
            file.valid = False
            return new == _MISSING
        if was_read and not file.valid:
            log.info("target file valid again file=%s", path)
        file.valid = True
        return changed

    def _read(self, path: Path, file: _File[T]) -> bool:
        """Read a file; one with the same contents as before is not parsed again. Return whether the contents changed."""
        data = file_sd.load(path)
        digest = blake2b(data, digest_size=16).digest()
        if file.kept is not None and digest == file.digest:
            return False
        file.kept = self._reduce(file_sd.parse_groups(path, data))
        file.digest = digest
        return True


def matches(patterns: Iterable[str]) -> Iterator[str]:
    """Yield the paths that the patterns match, each once; a pattern without wildcards matches its file, also while that is missing."""
    paths = (path for pattern in patterns for path in (sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]))  # noqa: PTH207
    return islice(dict.fromkeys(paths), MAX_FILES)


def problems(patterns: Iterable[str]) -> Iterator[str]:
    """Yield a line for each file that is not valid."""
    for path in matches(patterns):
        try:
            file_sd.read(Path(path))
        except BadInput as error:
            yield f"{path}: {error}"
