"""What the journal says: programs' words by what journald knows of them, and the kernel's where /dev/kmsg is not ours to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.logs.metrics import SourceStats
from collectors.logs.sources.event import event, match_messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.logs.clock import Timestamp
    from collectors.logs.matching.header import Header
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Signature
    from collectors.logs.sources.event import Allow, LogEvent
    from collectors.logs.sources.journal import Journal
    from collectors.logs.sources.journal_entry import JournalEntry
    from collectors.logs.sources.kernel_source import Lose

NAME = "journal"
REASONS = ("vacuumed", "oversize")


class JournalSource:
    """Reads what journalctl says. Losses are told as (source, reason, how many)."""

    def __init__(self, journal: Journal, lose: Lose, programs_from: float = 0.0) -> None:
        """Leave what programs said before the Unix time `programs_from` to files, which counted it; infinity while they are read."""
        self._journal = journal
        self._lose = lose
        self.programs_from = programs_from
        self._last_at = 0.0
        self._lines = self._bytes = 0
        self._told = {"vacuumed": 0, "oversize": 0}

    @property
    def cursor(self) -> str:
        """Name the last entry read."""
        return self._journal.cursor

    @property
    def restarts(self) -> int:
        """Count the times journalctl ended by itself."""
        return self._journal.restarts

    @property
    def failing(self) -> bool:
        """Say whether journalctl does not come up."""
        return self._journal.failing

    def retry(self) -> None:
        """Start journalctl at once: what was in its way has gone."""
        self._journal.not_before = 0.0

    @property
    def why(self) -> str:
        """Say how journalctl ended."""
        return self._journal.why

    @property
    def told_until(self) -> float:
        """Give the Unix time up to which the journal has told everything."""
        return max(self._journal.alive_at, self._last_at)

    @property
    def caught_up(self) -> bool:
        """Say whether what was there at the start has been read."""
        return self._journal.following

    def read(self, matcher: Matcher, now: Timestamp) -> Iterator[LogEvent]:
        """Read on, and give what the signatures know."""
        entries = self._journal.read(now.boottime)
        self._lines += len(entries)
        self._bytes += sum(len(entry.message) for entry in entries)
        for reason, total in (("vacuumed", self._journal.vacuumed), ("oversize", self._journal.oversize)):
            if total > self._told[reason]:
                self._lose(NAME, reason, total - self._told[reason])
                self._told[reason] = total
        if entries:
            self._last_at = min(entries[-1].at, now.wall)
        for index, match in match_messages(matcher, [entry.message for entry in entries], lambda index: self._rule(entries[index])):
            yield event(match, min(entries[index].at, now.wall))

    def traffic(self) -> Iterator[SourceStats]:
        """Say how much has been read."""
        yield SourceStats(NAME, self._lines, self._bytes, None, {})

    def wake_fds(self) -> Iterator[int]:
        """Give the child's pipe."""
        descriptor = self._journal.descriptor
        if descriptor is not None:
            yield descriptor

    def close(self) -> None:
        """End the child."""
        self._journal.close()

    def _rule(self, entry: JournalEntry) -> Allow:
        ours = entry.kernel or entry.at >= self.programs_from

        def allow(signature: Signature, _header: Header) -> bool:
            return ours and entry.allows(signature)

        return allow
