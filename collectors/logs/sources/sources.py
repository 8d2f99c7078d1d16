"""All log sources of this host, selected and opened: at most one kernel log, one journal, and files."""

from __future__ import annotations

import logging
import os
import time
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from collectors.disk import DiskHangs, DiskTask
from collectors.logs import clock
from collectors.logs.sources import file_source, journal_source, kernel_source
from collectors.logs.sources.coverage import Coverage, coverage
from collectors.logs.sources.file_reader import FileReader
from collectors.logs.sources.file_source import FollowPlan
from collectors.logs.sources.journal import JournalReader, match_arguments
from collectors.logs.sources.journal_availability import JournalAvailability
from collectors.logs.sources.journal_source import JournalSource
from collectors.logs.sources.kernel_source import KernelSource
from collectors.logs.sources.kmsg import open_kmsg
from collectors.logs.sources.selection import SourceSelection, SourceUnavailable, file_filter, patterns_to_follow, reselect, select
from collectors.logs.tailing.paths import expand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.logs.clock import Timestamp
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Signature
    from collectors.logs.settings import LogSettings
    from collectors.logs.sources.event import LogEvent, OnLoss, SourceStats
    from collectors.logs.sources.kmsg import Kmsg
    from collectors.logs.state import FollowerState, LogsState
    from collectors.model import CollectorContext


log = logging.getLogger(__name__)

ACCESS_SECONDS = 1.0  # that a check of the log files waits for them


class Sources:
    """The open sources."""

    def __init__(
        self,
        settings: LogSettings,
        context: CollectorContext,
        signatures: Sequence[Signature],
        state: LogsState,
        on_loss: OnLoss,
        boot: str,
    ) -> None:
        self.unavailable: dict[str, SourceUnavailable] = {}
        self.kernel: KernelSource | None = None
        self.journal: JournalSource | None = None
        self.files: FileReader | None = None
        self._access_task: DiskTask[bool] = DiskTask("log files")
        not_before = state.wall
        self._root, self._on_loss, self._boot = context.root, on_loss, boot
        self._availability = JournalAvailability(settings.journal, context.root)
        kmsg = self._open_kmsg(settings, context)
        has_journal = self._check_journal(clock.now())
        prefix = str(context.root).rstrip("/")
        files = [prefix + path for path in settings.files]
        self.selection: SourceSelection = select(kmsg=kmsg is not None, journal=has_journal, files=files)
        if kmsg is not None:
            log_id = settings.kmsg if settings.kmsg.startswith("/") else boot
            self.kernel = KernelSource(kmsg, log_id, state.kmsg, on_loss, not_before)
        if has_journal:
            self.journal = self._open_journal(signatures, state.cursor, not_before, state.programs_from)
        self._signatures = [
            msgspec.structs.replace(signature, files=tuple(prefix + file for file in signature.files)) if signature.files else signature
            for signature in signatures
        ]
        self._open_files(state.files, not_before, state.patterns, backlog=state.is_new)

    def _open_kmsg(self, settings: LogSettings, context: CollectorContext) -> Kmsg | None:
        if settings.kmsg == "off":
            self.unavailable[kernel_source.NAME] = SourceUnavailable("off", "[logs] kmsg is off")
            return None
        try:
            return open_kmsg(settings.kmsg, str(context.root / "dev/kmsg"))
        except (OSError, ValueError) as error:
            reason = "permission" if isinstance(error, PermissionError) else "missing"
            self.unavailable[kernel_source.NAME] = SourceUnavailable(reason, getattr(error, "strerror", None) or str(error))
            return None

    def _check_journal(self, now: Timestamp) -> bool:
        if (unavailable := self._availability.check(self.journal, now)) is None:
            self.unavailable.pop(journal_source.NAME, None)
        else:
            self.unavailable[journal_source.NAME] = unavailable
        return unavailable is None

    def _open_journal(self, signatures: Sequence[Signature], cursor: str, since: float, programs_from: float) -> JournalSource:
        terms = match_arguments(signatures, kernel=self.selection.kernel == "journal")
        boot = self._boot if self._root == Path("/") else ""
        reader = JournalReader(
            terms, cursor, since=since, command=journal_command(self._root), boot=boot,
            is_relevant=lambda entry: any(entry.allows(signature) for signature in signatures),
        )  # fmt: skip
        return JournalSource(reader, self._on_loss, programs_from)

    def _open_files(self, saved: Mapping[str, FollowerState], not_before: float, known: Sequence[str], *, backlog: bool) -> None:
        """Follow the files that the selection calls for, if any."""
        selection = self.selection
        patterns = patterns_to_follow(selection, self._signatures)
        plan = FollowPlan(patterns, lambda path: file_filter(selection, self._signatures, path), not_before, known)
        self.files = FileReader(plan, saved, self._on_loss, backlog=backlog) if patterns else None

    def read(self, matcher: Matcher, now: Timestamp) -> Iterator[LogEvent]:
        """Read what is new in all sources, and yield the events."""
        for source in self._all():
            yield from source.read(matcher, now)
        if (has_journal := self._check_journal(now)) != (self.selection.programs == "journal"):
            self._reselect(now, journal=has_journal)

    def _reselect(self, now: Timestamp, *, journal: bool) -> None:
        """Read programs' lines from files while the journal is unavailable, and from the journal again when it is available."""
        selection = reselect(self.selection, journal=journal)
        if selection == self.selection or not (journal or self._has_files(selection)):
            return  # there is no other source
        unavailable = self.unavailable.get(journal_source.NAME)
        detail = unavailable.detail if unavailable else "available"
        log.warning('log source changed origin=programs source=%s journal="%s"', selection.programs, detail)
        self.selection = selection
        saved, known = (self.files.state(), self.files.patterns) if self.files else ({}, ())
        if self.files:
            self.files.close()
        if journal and self.journal is None:
            self.journal = self._open_journal(self._signatures, "", now.wall, 0.0)
        since = self.journal.complete_until if self.journal else now.wall
        if self.journal:
            self.journal.programs_from = time.time() if journal else inf
        self._open_files(saved, since, known, backlog=True)

    def _has_files(self, selection: SourceSelection) -> bool:
        """Return whether a file of the selection can be read; False while that is not known, for the next check."""
        try:
            return self._access_task.run(lambda: any(os.access(path, os.R_OK) for path in expand(selection.files)), ACCESS_SECONDS)
        except DiskHangs:
            return False

    def programs_from(self, now: Timestamp) -> float:
        """Return the Unix time from which programs' lines are counted from the journal; earlier ones were counted from files."""
        return min(self.journal.programs_from, now.wall) if self.journal else 0.0

    def _all(self) -> Iterator[KernelSource | JournalSource | FileReader]:
        yield from (source for source in (self.kernel, self.journal, self.files) if source is not None)

    def stats(self) -> Iterator[SourceStats]:
        """Yield what was read of each source."""
        for source in self._all():
            yield from source.stats()

    def loss_reasons(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield (source, reasons of losses that it can report) for all that is open."""
        if self.kernel is not None:
            yield kernel_source.NAME, kernel_source.LOSS_REASONS
        if self.journal is not None:
            yield journal_source.NAME, journal_source.LOSS_REASONS
        if self.files is not None:
            yield file_source.NAME, (file_source.TOO_MANY,)
            yield from ((path, file_source.LOSS_REASONS) for path in self.files.paths)

    def coverage(self) -> Coverage:
        """Return which lines are not read, and why."""
        is_complete = self.journal is None or self.journal.reader.was_complete
        return coverage(self.selection, self.unavailable, self.files.followed() if self.files else (), journal_complete=is_complete)

    def wake_fds(self) -> Iterator[int]:
        """Yield the descriptors that become readable with new lines."""
        for source in (self.kernel, self.journal):
            if source is not None:
                yield from source.wake_fds()

    @property
    def polled_paths(self) -> tuple[str, ...]:
        """The paths whose growth has to be polled."""
        return (*(self.kernel.polled_paths if self.kernel else ()), *(self.files.paths if self.files else ()))

    @property
    def caught_up(self) -> bool:
        """True if the backlog has been read."""
        return all(source is None or source.caught_up for source in (self.journal, self.files))

    def close(self) -> None:
        """Close all sources."""
        for source in self._all():
            source.close()


def journal_command(root: Path) -> tuple[str, ...]:
    """Return the journalctl command for a host's journal: this host's, or the one below `root`."""
    return ("journalctl",) if root == Path("/") else ("journalctl", f"--root={root}")
