"""Journal as a source: programs' lines, with their senders by trusted fields, and the kernel's where /dev/kmsg cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.logs.sources.event import SourceStats, event, match_messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.logs.clock import Timestamp
    from collectors.logs.matching.header import Header
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Signature
    from collectors.logs.sources.event import Allow, LogEvent, OnLoss
    from collectors.logs.sources.journal import JournalReader
    from collectors.logs.sources.journal_entry import JournalEntry

NAME = "journal"
LOSS_REASONS = ("vacuumed", "oversize")


class JournalSource:
    """Reads what journalctl returns."""

    def __init__(self, reader: JournalReader, on_loss: OnLoss, programs_from: float = 0.0) -> None:
        """Ignore programs' lines from before the Unix time `programs_from`, which were counted from files: infinity while they are."""
        self.reader = reader
        self._on_loss = on_loss
        self.programs_from = programs_from
        self._last_at = 0.0
        self._lines = self._bytes = 0
        self._losses = dict.fromkeys(LOSS_REASONS, 0)

    @property
    def complete_until(self) -> float:
        """Unix time up to which all entries were read."""
        return max(self.reader.complete_until, self._last_at)

    @property
    def caught_up(self) -> bool:
        """True if the entries that were there at the start have been read."""
        return self.reader.is_following

    def read(self, matcher: Matcher, now: Timestamp) -> Iterator[LogEvent]:
        """Read the new entries, and yield the events."""
        entries = self.reader.read(now.boottime)
        self._lines += len(entries)
        self._bytes += sum(len(entry.message) for entry in entries)
        for reason, total in (("vacuumed", self.reader.vacuumed), ("oversize", self.reader.oversize)):
            if total > self._losses[reason]:
                self._on_loss(NAME, reason, total - self._losses[reason])
                self._losses[reason] = total
        if entries:
            self._last_at = min(entries[-1].at, now.wall)
        for index, match in match_messages(matcher, [entry.message for entry in entries], lambda index: self._filter(entries[index])):
            yield event(match, min(entries[index].at, now.wall), entries[index].sender)

    def stats(self) -> Iterator[SourceStats]:
        """Yield what was read."""
        yield SourceStats(NAME, self._lines, self._bytes, None)

    def wake_fds(self) -> Iterator[int]:
        """Yield journalctl's pipe."""
        if (descriptor := self.reader.descriptor) is not None:
            yield descriptor

    def close(self) -> None:
        """Stop journalctl."""
        self.reader.close()

    def _filter(self, entry: JournalEntry) -> Allow:
        is_counted_here = entry.is_kernel or entry.at >= self.programs_from

        def allow(signature: Signature, _header: Header) -> bool:
            return is_counted_here and entry.allows(signature)

        return allow
