"""File source behind a disk task: a log file on a disk that hangs delays no other source.

What the followers read, and where they are, comes out of a read together. So a position that is saved is never ahead of what was counted,
also while the next read hangs.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from collectors.disk import DiskHangs, DiskTask
from collectors.logs.sources.coverage import FollowedFile
from collectors.logs.sources.file_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.logs.clock import Timestamp
    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.sources.event import LogEvent, OnLoss, SourceStats
    from collectors.logs.sources.file_source import FollowPlan
    from collectors.logs.state import FollowerState

READ_SECONDS = 2.0  # that a read of all sources waits for the files
HANGS_SECONDS = 10.0  # age of a read from which its files count as not read
CLOSE_SECONDS = 0.5
STATE_SECONDS = 5.0  # between two looks at the positions, without events

_Loss = tuple[str, str, int]  # source, reason, count


class _Result(NamedTuple):
    """What one read returned. `state` is None where it was not looked at: nothing was counted since the last."""

    events: Sequence[LogEvent]
    losses: Sequence[_Loss]
    state: Mapping[str, FollowerState] | None
    paths: Sequence[str]
    stats: Sequence[SourceStats]
    followed: Sequence[FollowedFile]
    caught_up: bool
    drained: bool


class FileReader:
    """Follows files, as `FileSource` does, which only disk threads touch. Losses are reported by path."""

    def __init__(self, plan: FollowPlan, saved: Mapping[str, FollowerState], on_loss: OnLoss, *, backlog: bool) -> None:
        """Continue from the saved states; `backlog` reads the end of files without one."""
        self._losses: list[_Loss] = []
        self._on_loss = on_loss
        self._source = FileSource(plan, saved, lambda *loss: self._losses.append(loss), backlog=backlog)
        self.patterns = self._source.patterns
        self._task: DiskTask[_Result] = DiskTask(self.patterns[0], self._on_end)
        self._closing = False
        self._state: Mapping[str, FollowerState] = dict(saved)
        self._next_state = 0.0
        self._last = _Result((), (), None, (), (), (), caught_up=False, drained=True)

    @property
    def paths(self) -> Sequence[str]:
        """The followed paths."""
        return self._last.paths

    @property
    def caught_up(self) -> bool:
        """True if each file was read to its end once."""
        return self._last.caught_up

    @property
    def drained(self) -> bool:
        """True if the last read reached the end of each file."""
        return self._last.drained

    def state(self) -> dict[str, FollowerState]:
        """Return each path's state, as of the last read that counted or lost something, or up to STATE_SECONDS later."""
        return dict(self._state)

    def stats(self) -> Sequence[SourceStats]:
        """Return what was read of each file."""
        return self._last.stats

    def followed(self) -> Sequence[FollowedFile]:
        """Return which of the files can be read: none while a read hangs."""
        hanging = self._task.is_busy and not self._task.ended() and time.monotonic() - self._task.submitted > HANGS_SECONDS
        if not hanging:
            return self._last.followed
        return [FollowedFile(path, f"the disk hangs ({self._task.path})", is_open=True) for path in self.paths or self.patterns]

    def read(self, matcher: Matcher, now: Timestamp) -> Iterator[LogEvent]:
        """Read the files, and yield the events; none while a file hangs, whose events come with the read after."""
        try:
            result = self._task.run(partial(self._read, matcher, now), READ_SECONDS)
        except DiskHangs:
            return
        yield from self._taken(result)

    def _taken(self, result: _Result) -> Sequence[LogEvent]:
        self._last = result._replace(events=(), losses=(), state=None)
        if result.state is not None:
            self._state = result.state
        for loss in result.losses:
            self._on_loss(*loss)
        return result.events

    def _read(self, matcher: Matcher, now: Timestamp) -> _Result:
        return self._result(list(self._source.read(matcher, now)))

    def _result(self, events: Sequence[LogEvent], *, with_state: bool = False) -> _Result:
        """Return what there is after a read. Called in a disk thread, as all that follows."""
        source = self._source
        losses, self._losses = self._losses, []
        state = None
        if events or losses or with_state or time.monotonic() >= self._next_state:
            state, self._next_state = source.state(), time.monotonic() + STATE_SECONDS
        stats, followed = tuple(source.stats()), source.followed()
        return _Result(events, losses, state, source.paths, stats, followed, source.caught_up, source.drained)

    def refresh_state(self) -> Sequence[LogEvent]:
        """Look at the positions once more, for the last save; return the events of a read that has ended meanwhile."""
        self._task.start(lambda: self._result((), with_state=True))
        return self._taken(self._task.wait(CLOSE_SECONDS)) if self._task.ended(CLOSE_SECONDS) else ()

    def close(self) -> None:
        """Close all files, after a read in progress."""
        self._closing = True
        if self._task.is_busy and self._task.ended():
            self._task.wait(0)
        self._task.start(lambda: self._result(()))  # an empty task: `_on_end` closes, of this one or of the one in progress

    def _on_end(self) -> None:
        if self._closing:
            self._source.close()
