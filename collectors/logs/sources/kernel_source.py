"""The kernel's own words, from /dev/kmsg or a recorded stream: each record once, over restarts too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from collectors.logs.matching.matcher import allow_kernel
from collectors.logs.metrics import SourceStats
from collectors.logs.sources.event import event, match_messages
from collectors.logs.state import KmsgPosition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from collectors.logs.clock import Timestamp
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.sources.event import LogEvent
    from collectors.logs.sources.kmsg import Kmsg, KmsgRecord

    Lose = Callable[[str, str, int], None]

NAME = "kmsg"
REASONS = ("overrun",)
_ENOUGH = 50_000  # records in one look: more than any ring holds


class KernelSource:
    """Reads whatever is new since a position. Losses are told as (source, reason, how many)."""

    def __init__(self, kmsg: Kmsg, log: str, saved: KmsgPosition | None, lose: Lose, not_before: float = 0.0) -> None:
        """`log` names the log that sequence numbers belong to: a boot id, or a recorded stream's path.

        Events before the Unix time `not_before` are somebody else's to count.
        """
        self._kmsg = kmsg
        self._log = log
        self._last = saved if saved is not None and saved.log == log else None
        self._lose = lose
        self._not_before = not_before if self._last is None else 0.0
        self._lines = self._bytes = 0

    @property
    def position(self) -> KmsgPosition | None:
        """Give the last record read."""
        return self._last

    def read(self, matcher: Matcher, now: Timestamp) -> Iterator[LogEvent]:
        """Read on, and give what the signatures know."""
        records = [record for record in self._new(self._kmsg.read(_ENOUGH)) if record.from_kernel]
        clock = time.monotonic() * 1e6  # what the kernel stamps its records with
        for index, match in match_messages(matcher, [record.text for record in records], lambda _: allow_kernel):
            age = max(0.0, clock - records[index].microseconds) / 1e6 if self._kmsg.is_device else 0.0
            if now.wall - age >= self._not_before:
                yield event(match, now.wall - age)

    def _new(self, records: Iterable[KmsgRecord]) -> Iterator[KmsgRecord]:
        """Pass over what was read before a restart, and count what the ring lost between two records."""
        for record in records:
            last = self._last.sequence if self._last else None
            if last is not None and record.sequence <= last:
                continue
            if last is not None and record.sequence > last + 1:
                self._lose(NAME, "overrun", record.sequence - last - 1)
            self._last = KmsgPosition(self._log, record.sequence, record.microseconds)
            self._lines += 1
            self._bytes += len(record.text)
            yield record

    def traffic(self) -> Iterator[SourceStats]:
        """Say how much has been read."""
        yield SourceStats(NAME, self._lines, self._bytes, None, {})

    def wake_fds(self) -> Iterator[int]:
        """Give the device: a stream that has ended would be readable for ever."""
        if self._kmsg.is_device:
            yield self._kmsg.descriptor

    @property
    def recorded(self) -> tuple[str, ...]:
        """Give the path of a recorded stream, whose growth nobody tells of."""
        return () if self._kmsg.is_device or not self._log.startswith("/") else (self._log,)

    def close(self) -> None:
        """Let the log go."""
        self._kmsg.close()
