"""What outlives a restart: how far each source was read and what was counted up to there, together, so that neither can be ahead."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from collectors.logs.tailing.tail import Position  # noqa: TC001 — msgspec reads the annotation


class Saved(NamedTuple):
    """What a follower remembers over a restart, oldest file first; the last of `reading` is the path itself, or was before it went away.

    `last` is where the file ended that the path was, while nothing is read.
    """

    reading: tuple[Position, ...]
    done: tuple[Position, ...]
    last: Position | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that is going on: seen, and neither cleared nor older than its window. `first`, `last` are Unix times; `up` dates the last
    by the clock since boot."""  # noqa: D205, D209 — one sentence each

    signature: str
    thing: str
    level: int
    count: int
    first: float
    last: float
    up: float
    line: str


class KmsgPosition(msgspec.Struct, frozen=True):
    """The last record that was read. `log` is the boot id, or the path of a recorded stream; `microseconds` is the record's own time."""

    log: str
    sequence: int
    microseconds: int


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. `wall` and `up` date it; `boot` says which boot `up` belongs to."""

    boot: str = ""
    wall: float = 0.0
    up: float = 0.0
    events: dict[str, int] = {}
    seen: dict[str, float] = {}
    faults: tuple[Fault, ...] = ()
    recent: dict[str, dict[str, tuple[float, ...]]] = {}
    lost: dict[str, dict[str, int]] = {}
    kmsg: KmsgPosition | None = None
    cursor: str = ""
    files: dict[str, Saved] = {}
    programs_from: float = 0.0  # Unix time: what programs said in the journal before it was counted from files
    patterns: tuple[str, ...] = ()  # the paths and globs that were followed

    @property
    def fresh(self) -> bool:
        """Say whether there is no past."""
        return self.wall == 0


def read_state(value: Any) -> State:  # noqa: ANN401 — whatever stands in the slot
    """Take what a slot gave. Raises ValueError where it is not what we write; None is no past."""
    return State() if value is None else msgspec.convert(value, State, strict=True)
