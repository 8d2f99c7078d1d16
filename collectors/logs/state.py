"""Saved state: each source's position and what was counted up to it, in one file, so that neither is ahead of the other."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from collectors.logs.fault_lifetime import Fault  # noqa: TC001 — msgspec reads the annotation
from collectors.logs.tailing.tail import FilePosition  # noqa: TC001 — msgspec reads the annotation


class FollowerState(NamedTuple):
    """Saved state of a follower, oldest file first. The last of `reading` is the path itself, or was before the path went missing.

    `finished` are the ends of files that were read to their end; `last` is the end of the path's last file while the path is missing.
    """

    reading: tuple[FilePosition, ...]
    finished: tuple[FilePosition, ...]
    last: FilePosition | None = None


class KmsgPosition(msgspec.Struct, frozen=True):
    """Position of the last record that was read. `log_id` is the boot id, or a recorded stream's path; `microseconds` is its time."""

    log_id: str
    sequence: int
    microseconds: int


class LogsState(msgspec.Struct, frozen=True, kw_only=True):
    """The whole state. `wall` and `boottime` are the time of the save; `boot` is the boot id that `boottime` belongs to."""

    boot: str = ""
    wall: float = 0.0
    boottime: float = 0.0
    events: dict[str, int] = {}
    last_seen: dict[str, float] = {}
    faults: tuple[Fault, ...] = ()
    recent: dict[str, dict[str, tuple[float, ...]]] = {}
    lost: dict[str, dict[str, int]] = {}
    kmsg: KmsgPosition | None = None
    cursor: str = ""
    files: dict[str, FollowerState] = {}
    programs_from: float = 0.0  # Unix time; earlier lines of programs in the journal were counted from files
    patterns: tuple[str, ...] = ()  # paths and globs that were followed

    @property
    def is_new(self) -> bool:
        """True if nothing was saved before."""
        return self.wall == 0


def decode_state(value: Any) -> LogsState:  # noqa: ANN401 — any JSON value
    """Decode what a slot returned; None is a new state. Raises ValueError for any other shape."""
    return LogsState() if value is None else msgspec.convert(value, LogsState, strict=True)
