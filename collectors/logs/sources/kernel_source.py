"""Kernel log as a source: /dev/kmsg or a recorded stream of it, each record once, also across restarts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from collectors.logs.matching.matcher import allow_kernel
from collectors.logs.sources.event import KERNEL, SourceStats, event, match_messages
from collectors.logs.state import KmsgPosition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from collectors.logs.clock import Timestamp
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.sources.event import LogEvent, OnLoss
    from collectors.logs.sources.kmsg import Kmsg, KmsgRecord

NAME = "kmsg"
LOSS_REASONS = ("overrun",)
_DISORDER = 10_000_000  # microseconds by which records may be out of order: each CPU reads its clock before it gets a sequence number
_MAX_RECORDS = 50_000  # of one read: more than any ring buffer holds


class KernelSource:
    """Reads the records since a position."""

    def __init__(self, kmsg: Kmsg, log_id: str, saved: KmsgPosition | None, on_loss: OnLoss, not_before: float = 0.0) -> None:
        """`log_id` identifies the log that sequence numbers belong to: a boot id, or a recorded stream's path.

        Without a position in this log, events before the Unix time `not_before` were counted already.
        """
        self._kmsg = kmsg
        self._log_id = log_id
        self.position = saved if saved is not None and saved.log_id == log_id else None  # of the last record read
        self._on_loss = on_loss
        self._not_before = not_before
        self._is_resumed = self._is_unverified = self.position is not None
        self._lines = self._bytes = 0

    def read(self, matcher: Matcher, now: Timestamp) -> Iterator[LogEvent]:
        """Read the new records, and yield the events."""
        found = self._kmsg.read(_MAX_RECORDS)
        if found and self._is_unverified:
            self._verify_position(found)
        records = [record for record in self._new(found) if record.is_from_kernel]
        clock = time.monotonic() * 1e6  # the clock of a record's timestamp
        for index, match in match_messages(matcher, [record.text for record in records], lambda _: allow_kernel):
            age = max(0.0, clock - records[index].microseconds) / 1e6 if self._kmsg.is_device else 0.0
            if self._is_resumed or now.wall - age >= self._not_before:
                yield event(match, now.wall - age, KERNEL)

    def _verify_position(self, records: Sequence[KmsgRecord]) -> None:
        """Drop a saved position that fits the records by sequence but not by time, or conversely: a damaged one would hide new records."""
        self._is_unverified = False
        if self._kmsg.is_device and self.position is not None and not _fits(self.position, records):
            self.position, self._is_resumed = None, False
            self._on_loss(NAME, "overrun", 1)

    def _new(self, records: Iterable[KmsgRecord]) -> Iterator[KmsgRecord]:
        """Skip what was read before a restart, and count what was overwritten between two records."""
        for record in records:
            last = self.position.sequence if self.position else None
            if last is not None and record.sequence <= last:
                continue
            if last is not None and record.sequence > last + 1:
                self._on_loss(NAME, "overrun", record.sequence - last - 1)
            self.position = KmsgPosition(self._log_id, record.sequence, record.microseconds)
            self._lines += 1
            self._bytes += len(record.text)
            yield record

    def stats(self) -> Iterator[SourceStats]:
        """Yield what was read."""
        yield SourceStats(NAME, self._lines, self._bytes, None)

    def wake_fds(self) -> Iterator[int]:
        """Yield the device; not a stream, which is always readable at its end."""
        if self._kmsg.is_device:
            yield self._kmsg.descriptor

    @property
    def polled_paths(self) -> tuple[str, ...]:
        """Path of a recorded stream, whose growth has to be polled."""
        return () if self._kmsg.is_device or not self._log_id.startswith("/") else (self._log_id,)

    def close(self) -> None:
        """Close the log."""
        self._kmsg.close()


def _fits(position: KmsgPosition, records: Sequence[KmsgRecord]) -> bool:
    return not any(
        (record.sequence > position.sequence and record.microseconds < position.microseconds - _DISORDER)
        or (record.sequence <= position.sequence and record.microseconds > position.microseconds + _DISORDER)
        for record in records
    )
