"""Whether the journal can be read just now: looked at now and then, so that files speak for programs while it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.logs.sources import journal
from collectors.logs.sources.selection import SourceUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.logs.clock import Timestamp
    from collectors.logs.sources.journal_source import JournalSource

_APART = 5.0  # seconds between two looks at where the journal is


class JournalAvailability:
    """Remembers the last look. `mode` is `[logs] journal`: `on` asks journalctl itself, wherever it may have its journal from."""

    def __init__(self, mode: str, root: Path) -> None:
        self._mode, self._root = mode, root
        self._next = float("-inf")
        self._found: SourceUnavailable | None = None

    def trouble(self, source: JournalSource | None, now: Timestamp) -> SourceUnavailable | None:
        """Say why the journal cannot be read, or None."""
        if self._mode == "off":
            return SourceUnavailable("off", "[logs] journal is off")
        if self._mode == "auto" and now.boottime >= self._next:
            self._next = now.boottime + _APART
            found = journal.trouble(self._root)
            if self._found is not None and found is None and source is not None:
                source.retry()  # not after the pause of up to a minute that it has come to
            self._found = SourceUnavailable(*found) if found else None
        if self._found is None and source is not None and source.failing:
            return SourceUnavailable("failing", f"journalctl ends again and again ({source.why})")
        return self._found
