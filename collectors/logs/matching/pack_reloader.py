"""The packs in use: read at start, and again when their files change; bad ones never replace good ones."""

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

log = logging.getLogger(__name__)

_PAUSE = 10.0  # seconds between two looks whether something has changed

_Seen = tuple[tuple[str, "Stamp | None"], ...]


class PacksInUse:
    """The shipped packs and those of some directories, with their matcher."""

    def __init__(self, directories: Iterable[str], cache: Path | None) -> None:
        """Read and compile them; `cache` is a folder for the compiled form. Raises BadInput, one line that names file and id."""
        self._directories = [Path(directory) for directory in directories]
        self._cache = cache / "signatures.db" if cache is not None else None
        self._seen = self._look()
        self._next = time.monotonic() + _PAUSE
        self.valid = True  # False while what stands in the files is not what is in use
        self.packs, self.matcher = self._load()

    def _load(self) -> tuple[Packs, Matcher]:
        packs = load(self._directories)
        return packs, Matcher(packs.signatures, open_database(packs.signatures, self._cache))

    def refresh(self) -> bool:
        """Look for changes now and then; True where other packs are in use from now on."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _PAUSE
        seen = self._look()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self.packs, self.matcher = self._load()
        except BadInput as error:
            self.valid = False
            log.error("signature packs not taken, the old ones stay: %s", error)  # noqa: TRY400 — the line says it all
            return False
        self.valid = True
        log.info("signature packs read again: %d signatures", len(self.packs.signatures))
        return True

    def _look(self) -> _Seen:
        found = []
        for directory in self._directories:
            try:
                found += [(str(path), stamp(path)) for path in sorted(directory.glob("*.toml"))]
            except OSError:
                continue  # load() says what is wrong with it
        return tuple(found)
