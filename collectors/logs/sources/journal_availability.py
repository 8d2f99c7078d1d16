"""Availability of the journal: checked every few seconds, so that programs' lines are read from files while it is unavailable."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from collectors.disk import DiskHangs, DiskTask
from collectors.logs.sources.selection import SourceUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.logs.clock import Timestamp
    from collectors.logs.sources.journal_source import JournalSource

_WAIT_SECONDS = 1.0  # for the result of a check
_CHECK_SECONDS = 5.0  # between two checks of the journal's files


class JournalAvailability:
    """Keeps the result of the last check. `mode` is `[logs] journal`; `on` relies on journalctl itself, without a check of files."""

    def __init__(self, mode: str, root: Path) -> None:
        self._mode, self._root = mode, root
        self._next_check = float("-inf")
        self._missing: SourceUnavailable | None = None
        self._is_checked = False
        self._task: DiskTask[SourceUnavailable | None] = DiskTask(str(root / "var/log/journal"))

    def check(self, source: JournalSource | None, now: Timestamp) -> SourceUnavailable | None:
        """Return why the journal cannot be read; None where it can."""
        if self._mode == "off":
            return SourceUnavailable("off", "[logs] journal is off")
        if self._mode == "auto" and now.boottime >= self._next_check:
            self._next_check = now.boottime + _CHECK_SECONDS
            missing = self._check_files()
            if self._missing is not None and missing is None and source is not None:
                source.reader.next_start = 0.0  # without the rest of a pause of up to a minute
            self._missing = missing
        if self._missing is None and source is not None and source.reader.is_failing:
            return SourceUnavailable("failing", f"journalctl fails repeatedly ({source.reader.error})")
        return self._missing

    def _check_files(self) -> SourceUnavailable | None:
        """Check the files; while they hang, the result of the check before holds."""
        try:
            missing = self._task.run(lambda: _check_files(self._root), _WAIT_SECONDS)
        except DiskHangs as error:
            return self._missing if self._is_checked else SourceUnavailable("failing", f"{error.filename}: {error}")
        self._is_checked = True
        return missing


def _check_files(root: Path) -> SourceUnavailable | None:
    """Return why the system journal's files cannot be read, or None."""
    if shutil.which("journalctl") is None:
        return SourceUnavailable("missing", "there is no journalctl")
    found = False
    for folder in ("var/log/journal", "run/log/journal"):
        journals = os.path.join(root, folder)  # noqa: PTH118 — checked every few seconds: no Path for each
        try:
            files = [f"{journals}/{machine}/system.journal" for machine in os.listdir(journals)]  # noqa: PTH208
        except OSError as error:
            found |= isinstance(error, PermissionError)
            continue
        if any(os.access(file, os.R_OK, effective_ids=True) for file in files):
            return None
        found |= any(map(os.path.exists, files))
    if found:
        return SourceUnavailable("permission", "not readable; membership of the group systemd-journal allows it")
    return SourceUnavailable("missing", "there is no system journal")
