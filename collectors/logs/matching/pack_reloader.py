"""Pack reloader: loads the packs at start and when their files change; invalid packs never replace valid ones."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.disk import DiskHangs, DiskTask, note
from collectors.files import read_bytes, stamp
from collectors.logs.matching.database import open_database
from collectors.logs.matching.matcher import Matcher
from collectors.logs.matching.packs import Packs, load
from collectors.model import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.files import Stamp
    from collectors.interfaces import IgnoredInterfaces

log = logging.getLogger(__name__)

_READ_SECONDS = 1.5  # that a start or a run waits for the files
_PARSE_SECONDS = 60.0  # that a start waits for packs whose files were read
_PROBE_BYTES = 1 << 20
_CHECK_SECONDS = 10.0  # between two checks for changes

_Stamps = tuple[tuple[str, "Stamp | None"], ...]


class PackReloader:
    """Current packs (the shipped ones and those of `directories`) and their matcher."""

    def __init__(self, directories: Sequence[str], cache: Path | None, ignored: IgnoredInterfaces | None = None) -> None:
        """Load and compile the packs; `cache` is a directory for the compiled database, `ignored` that of `Matcher`.

        Raises BadInput, one line with file and id.
        """
        self._ignored = ignored
        self._directories = [Path(directory) for directory in directories]
        self._cache = cache / "signatures.db" if cache is not None else None
        self._stamps: _Stamps | None = None
        self._task: DiskTask[tuple[_Stamps, Packs | BadInput | None]] = DiskTask(directories[0] if directories else "signature packs")
        self._next = time.monotonic() + _CHECK_SECONDS
        self.last_reload_successful = True
        probe: DiskTask[None] = DiskTask(self._task.path)
        try:
            probe.run(self._probe, _READ_SECONDS)
            self._stamps, found = self._task.run(self._read_if_changed, _PARSE_SECONDS)
        except DiskHangs as error:
            log.error('signature packs hang, starting with the shipped ones directory=%s error="%s"', error.filename, error)  # noqa: TRY400
            self.last_reload_successful = False
            found = load(())
        if isinstance(found, BadInput):
            raise found
        assert found is not None  # noqa: S101 — for mypy: the first read is a change
        self.packs, self.matcher = found, self._matcher_of(found)

    def _matcher_of(self, packs: Packs) -> Matcher:
        return Matcher(packs.signatures, open_database(packs.signatures, self._cache), self._ignored)

    def refresh(self) -> bool:
        """Reload the packs if their files have changed since the last check; return True if the packs were replaced."""
        if time.monotonic() < self._next and not self._task.is_busy:
            return False
        self._next = time.monotonic() + _CHECK_SECONDS
        try:
            self._stamps, found = self._task.run(self._read_if_changed, _READ_SECONDS)
        except DiskHangs:
            return False
        if found is None:
            return False
        try:
            if isinstance(found, BadInput):
                raise found
            self.packs, self.matcher = found, self._matcher_of(found)
        except BadInput as error:
            self.last_reload_successful = False
            log.error('signature pack reload failed, keeping the previous packs error="%s"', error)  # noqa: TRY400 — the user's mistake, not ours
            return False
        self.last_reload_successful = True
        log.info("signature packs reloaded signatures=%d", len(self.packs.signatures))
        return True

    def _read_if_changed(self) -> tuple[_Stamps, Packs | BadInput | None]:
        """Return the files' stamps, and what they hold now; None if nothing has changed. Called in a disk thread."""
        stamps = self._read_stamps()
        if stamps == self._stamps:
            return stamps, None
        try:
            return stamps, load(self._directories)
        except BadInput as error:
            return stamps, error

    def _probe(self) -> None:
        """Read the files without parsing them, which on a busy machine takes longer than a disk that answers."""
        for path, _ in self._read_stamps():
            note(path)
            read_bytes(path, _PROBE_BYTES)

    def _read_stamps(self) -> _Stamps:
        stamps = []
        for directory in self._directories:
            note(str(directory))
            try:
                stamps += [(str(path), stamp(path)) for path in sorted(directory.glob("*.toml"))]
            except OSError:
                continue  # load() reports it
        return tuple(stamps)
