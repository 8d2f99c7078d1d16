"""Pack reloader: loads the packs at start and when their files change; invalid packs never replace valid ones."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.files import stamp
from collectors.logs.matching.database import open_database
from collectors.logs.matching.matcher import Matcher
from collectors.logs.matching.packs import Packs, load
from collectors.model import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.files import Stamp
    from collectors.interfaces import IgnoredInterfaces

log = logging.getLogger(__name__)

_CHECK_SECONDS = 10.0  # between two checks for changes

_Stamps = tuple[tuple[str, "Stamp | None"], ...]


class PackReloader:
    """Current packs (the shipped ones and those of `directories`) and their matcher."""

    def __init__(self, directories: Iterable[str], cache: Path | None, ignored: IgnoredInterfaces | None = None) -> None:
        """Load and compile the packs; `cache` is a directory for the compiled database, `ignored` that of `Matcher`.

        Raises BadInput, one line with file and id.
        """
        self._ignored = ignored
        self._directories = [Path(directory) for directory in directories]
        self._cache = cache / "signatures.db" if cache is not None else None
        self._stamps = self._read_stamps()
        self._next = time.monotonic() + _CHECK_SECONDS
        self.last_reload_successful = True
        self.packs, self.matcher = self._load()

    def _load(self) -> tuple[Packs, Matcher]:
        packs = load(self._directories)
        return packs, Matcher(packs.signatures, open_database(packs.signatures, self._cache), self._ignored)

    def refresh(self) -> bool:
        """Reload the packs if their files have changed since the last check; return True if the packs were replaced."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _CHECK_SECONDS
        stamps = self._read_stamps()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        try:
            self.packs, self.matcher = self._load()
        except BadInput as error:
            self.last_reload_successful = False
            log.error('signature pack reload failed, keeping the previous packs error="%s"', error)  # noqa: TRY400 — the user's mistake, not ours
            return False
        self.last_reload_successful = True
        log.info("signature packs reloaded signatures=%d", len(self.packs.signatures))
        return True

    def _read_stamps(self) -> _Stamps:
        stamps = []
        for directory in self._directories:
            try:
                stamps += [(str(path), stamp(path)) for path in sorted(directory.glob("*.toml"))]
            except OSError:
                continue  # load() reports it
        return tuple(stamps)
