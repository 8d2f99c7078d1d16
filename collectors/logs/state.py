"""What outlives a restart: how far each source was read and what was counted up to there, together, so that neither can be ahead."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from collectors.logs.fault_lifetime import Fault  # noqa: TC001 — msgspec reads the annotation
from collectors.logs.tailing.tail import Position  # noqa: TC001 — msgspec reads the annotation


class FollowerState(NamedTuple):
    """Saved state of a follower, oldest file first. The last of `reading` is the path itself, or was before the path went missing.

    `finished` are the ends of files that were read to their end; `last` is the end of the path's last file while the path is missing.
    """

    reading: tuple[Position, ...]
    finished: tuple[Position, ...]
    last: Position | None = None


class KmsgPosition(msgspec.Struct, frozen=True):
    """The last record that was read. `log` is the boot id, or the path of a recorded stream; `microseconds` is the record's own time."""

    log: str
    sequence: int
    microseconds: int


class LogsState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. `wall` and `boottime` date it; `boot` says which boot `boottime` belongs to."""

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
    programs_from: float = 0.0  # Unix time: what programs said in the journal before it was counted from files
    patterns: tuple[str, ...] = ()  # the paths and globs that were followed

    @property
    def fresh(self) -> bool:
        """Say whether there is no past."""
        return self.wall == 0


def read_state(value: Any) -> LogsState:  # noqa: ANN401 — whatever stands in the slot
    """Take what a slot gave. Raises ValueError where it is not what we write; None is no past."""
    return LogsState() if value is None else msgspec.convert(value, LogsState, strict=True)
