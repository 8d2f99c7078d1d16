"""The sources of this host, chosen and opened: at most one kernel log, one journal, and files."""

from __future__ import annotations

import logging
import os
import time
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from collectors.logs import clock
from collectors.logs.sources import file_source, journal, journal_source, kernel_source
from collectors.logs.sources.file_source import FileSource, Wanted
from collectors.logs.sources.journal_availability import JournalAvailability
from collectors.logs.sources.journal_source import JournalSource
from collectors.logs.sources.kernel_source import KernelSource
from collectors.logs.sources.kmsg import open_kmsg
from collectors.logs.sources.selection import SourceSelection, SourceUnavailable, file_filter, patterns_to_follow, reselect, select
from collectors.logs.tailing.paths import expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from collectors.logs.clock import Timestamp
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Signature
    from collectors.logs.metrics import SourceStats
    from collectors.logs.settings import LogSettings
    from collectors.logs.sources.event import LogEvent
    from collectors.logs.sources.kernel_source import Lose
    from collectors.logs.sources.kmsg import Kmsg
    from collectors.logs.state import FollowerState, LogsState
    from collectors.model import CollectorContext


log = logging.getLogger(__name__)


class Sources:
    """What is open. `read` goes through all of it."""

    def __init__(
        self, settings: LogSettings, host: CollectorContext, signatures: Sequence[Signature], state: LogsState, lose: Lose, boot: str
    ) -> None:
        self.troubles: dict[str, SourceUnavailable] = {}
        self.kernel: KernelSource | None = None
        self.journal: JournalSource | None = None
        self.files: FileSource | None = None
        not_before = state.wall
        self._root, self._lose = host.root, lose
        self._standby = JournalAvailability(settings.journal, host.root)
        kmsg = self._open_kmsg(settings, host)
        has_journal = self._has_journal(clock.now())
        under = _under(host.root)
        self.choice: SourceSelection = select(kmsg=kmsg is not None, journal=has_journal, files=[under(path) for path in settings.files])
        if kmsg is not None:
            log = settings.kmsg if settings.kmsg.startswith("/") else boot
            self.kernel = KernelSource(kmsg, log, state.kmsg, lose, not_before)
        if has_journal:
            self.journal = self._open_journal(signatures, state.cursor, not_before, state.programs_from)
        self._signatures = [msgspec.structs.replace(one, files=tuple(map(under, one.files))) if one.files else one for one in signatures]
        self._follow(state.files, not_before, state.patterns, history=state.fresh)

    def _open_kmsg(self, settings: LogSettings, host: CollectorContext) -> Kmsg | None:
        if settings.kmsg == "off":
            self.troubles[kernel_source.NAME] = SourceUnavailable("off", "[logs] kmsg is off")
            return None
        try:
            return open_kmsg(settings.kmsg, str(host.root / "dev/kmsg"))
        except (OSError, ValueError) as error:
            what = "permission" if isinstance(error, PermissionError) else "missing"
            self.troubles[kernel_source.NAME] = SourceUnavailable(what, getattr(error, "strerror", None) or str(error))
            return None

    def _has_journal(self, now: Timestamp) -> bool:
        trouble = self._standby.trouble(self.journal, now)
        if trouble is None:
            self.troubles.pop(journal_source.NAME, None)
        else:
            self.troubles[journal_source.NAME] = trouble
        return trouble is None

    def _open_journal(self, signatures: Sequence[Signature], cursor: str, since: float, programs_from: float) -> JournalSource:
        terms = journal.matches(signatures, kernel=self.choice.kernel == "journal")
        command = journal_command(self._root)
        return JournalSource(journal.Journal(terms, cursor, since=since, command=command), self._lose, programs_from)

    def _follow(self, saved: Mapping[str, FollowerState], not_before: float, known: Sequence[str], *, history: bool) -> None:
        """Follow the files that the choice asks for; none where it asks for none."""
        choice = self.choice
        wanted = patterns_to_follow(choice, self._signatures)
        follow = Wanted(wanted, lambda path: file_filter(choice, self._signatures, path), not_before, known)
        self.files = FileSource(follow, saved, self._lose, history=history) if wanted else None

    def read(self, matcher: Matcher, now: Timestamp) -> Iterator[LogEvent]:
        """Read on everywhere."""
        for source in self._all():
            yield from source.read(matcher, now)
        if (there := self._has_journal(now)) != (self.choice.programs == "journal"):
            self._turn(now, journal=there)

    def _turn(self, now: Timestamp, *, journal: bool) -> None:
        """Let files speak for programs while the journal cannot be read, and the journal again when it can."""
        choice = reselect(self.choice, journal=journal)
        if choice == self.choice or not (journal or any(os.access(path, os.R_OK) for path in expand(choice.files))):
            return  # nobody else has anything to say
        log.warning("what programs say is read from %s from now on, %s", choice.programs, _why(self.troubles.get(journal_source.NAME)))
        self.choice = choice
        saved, known = (self.files.save(), self.files.patterns) if self.files else ({}, ())
        if self.files:
            self.files.close()
        if journal and self.journal is None:
            self.journal = self._open_journal(self._signatures, "", now.wall, 0.0)
        since = self.journal.told_until if self.journal else now.wall
        if self.journal:
            self.journal.programs_from = time.time() if journal else inf
        self._follow(saved, since, known, history=True)

    def programs_from(self, now: Timestamp) -> float:
        """Give the Unix time from which on the journal speaks for programs; what is older was counted from files."""
        return min(self.journal.programs_from, now.wall) if self.journal else 0.0

    def _all(self) -> Iterator[KernelSource | JournalSource | FileSource]:
        yield from (source for source in (self.kernel, self.journal, self.files) if source is not None)

    def traffic(self) -> Iterator[SourceStats]:
        """Say how much each source has read."""
        for source in self._all():
            yield from source.traffic()

    def reasons(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Give (source, why something of it may be lost) for all that is open."""
        if self.kernel is not None:
            yield kernel_source.NAME, kernel_source.REASONS
        if self.journal is not None:
            yield journal_source.NAME, journal_source.REASONS
        if self.files is not None:
            yield file_source.NAME, (file_source.TOO_MANY,)
            yield from ((path, file_source.REASONS) for path in self.files.paths)

    def descriptors(self) -> Iterator[int]:
        """Give what becomes readable with news."""
        for source in (self.kernel, self.journal):
            if source is not None:
                yield from source.wake_fds()

    @property
    def polled(self) -> tuple[str, ...]:
        """Give the paths that have to be looked at, since nobody tells of their growth."""
        return (*(self.kernel.recorded if self.kernel else ()), *(self.files.paths if self.files else ()))

    @property
    def caught_up(self) -> bool:
        """Say whether what was there at the start has been read."""
        return all(source is None or source.caught_up for source in (self.journal, self.files))

    def close(self) -> None:
        """Let everything go."""
        for source in self._all():
            source.close()


def _why(trouble: SourceUnavailable | None) -> str:
    return f"since the journal cannot be read: {trouble.detail}" if trouble else "since it can be read"


def boot_id(proc: Path) -> str:
    """Give the kernel's id of this boot; empty where there is none."""
    try:
        return (proc / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def journal_command(root: Path) -> tuple[str, ...]:
    """Give the journalctl that reads a host's journal: this one's, or the one below `root`."""
    return ("journalctl",) if root == Path("/") else ("journalctl", f"--root={root}")


def _under(root: Path) -> Callable[[str], str]:
    """Give the function that finds a host's path below its root."""
    prefix = str(root).rstrip("/")
    return lambda path: prefix + path
