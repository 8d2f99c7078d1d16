"""Saved state: each source's position and what was counted up to it, in one file, so that neither is ahead of the other."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from collectors.logs.fault_lifetime import ClockTime, Fault  # noqa: TC001 — msgspec reads the annotation
from collectors.logs.tailing.tail import FilePosition  # noqa: TC001 — msgspec reads the annotation
from collectors.state import Count, Seconds, State, Text, UnixTime

Cursor = Annotated[str, Meta(max_length=1024, pattern=r"^[!-~]*\Z")]  # becomes an argument of journalctl
LogId = Annotated[str, Meta(max_length=4096, pattern=r"^(|[0-9A-Za-z-]{1,64}|/[^\x00]*)\Z")]  # so does a boot id


class FollowerState(State, frozen=True, array_like=True, kw_only=False):
    """Saved state of a follower, oldest file first. The last of `reading` is the path itself, or was before the path went missing.

    `finished` are the ends of files that were read to their end; `last` is the end of the path's last file while the path is missing.
    """

    reading: tuple[FilePosition, ...] = ()
    finished: tuple[FilePosition, ...] = ()
    last: FilePosition | None = None


class KmsgPosition(msgspec.Struct, frozen=True):
    """Position of the last record that was read. `log_id` is the boot id, or a recorded stream's path; `microseconds` is its time."""

    log_id: LogId
    sequence: Count
    microseconds: Count


class LogsState(State, frozen=True):
    """The whole state. `wall` and `boottime` are the time of the save; `boot` is the boot id that `boottime` belongs to."""

    boot: Text = ""
    wall: UnixTime = 0.0
    boottime: Seconds = 0.0
    events: dict[Text, Count] = msgspec.field(default_factory=dict)
    last_seen: dict[Text, UnixTime] = msgspec.field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    recent: dict[Text, dict[Text, tuple[ClockTime, ...]]] = msgspec.field(default_factory=dict)
    lost: dict[Text, dict[Text, Count]] = msgspec.field(default_factory=dict)
    kmsg: KmsgPosition | None = None
    cursor: Cursor = ""
    files: dict[Text, FollowerState] = msgspec.field(default_factory=dict)
    programs_from: UnixTime = 0.0  # earlier lines of programs in the journal were counted from files
    patterns: tuple[Text, ...] = ()  # paths and globs that were followed

    @property
    def is_new(self) -> bool:
        """True if nothing was saved before."""
        return self.wall == 0
