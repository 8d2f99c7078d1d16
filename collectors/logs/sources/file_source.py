"""Log files: every path and glob that somebody's words are to be counted in, each followed by itself, none starving another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from collectors.logs.matching.timestamps import parse
from collectors.logs.metrics import SourceStats
from collectors.logs.sources.event import event
from collectors.logs.tailing.follower import Follower
from collectors.logs.tailing.line_deduplicator import LineDeduplicator
from collectors.logs.tailing.paths import expand, path_matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from collectors.logs.clock import Timestamp
    from collectors.logs.matching.matcher import Match, Matcher
    from collectors.logs.sources.event import Allow, LogEvent
    from collectors.logs.sources.kernel_source import Lose
    from collectors.logs.state import FollowerState

NAME = "files"
REASONS = ("truncated", "rotated", "oversize", "unreadable")
TOO_MANY = "too_many"
MOST = 512  # files followed at once: each holds a descriptor and is looked at twice a second
RESCAN = 5.0  # seconds between two looks for new files
_BUDGET = 0.5  # seconds of reading in one look, after at least one block of each file
_TURN = 4  # blocks of a file in a row


class Wanted(NamedTuple):
    """What is read for whom: `patterns` are paths and globs, `rule` gives for a path which signatures may be counted in it.

    Lines from before the Unix time `not_before` are counted already, by another source, except in files that `known` names: the
    patterns of the last run.
    """

    patterns: Sequence[str]
    rule: Callable[[str], Allow]
    not_before: float = 0.0
    known: Sequence[str] = ()


class _File:
    """A followed path with its own totals."""

    def __init__(self, follower: Follower, allow: Allow, not_before: float) -> None:
        self.follower = follower
        self.allow = allow
        self.not_before = not_before  # Unix time: what was written earlier has been counted by another source
        self.caught_up = False
        self.lines = self.bytes = 0
        self.lost: dict[str, int] = {}


class FileSource:
    """Follows files. Losses are told as (path, reason, how many)."""

    def __init__(self, wanted: Wanted, saved: Mapping[str, FollowerState], lose: Lose, *, history: bool) -> None:
        """`history`: there is no past at all; the end of each file is read."""
        self._wanted = wanted
        self._saved = dict(saved)
        self._lose = lose
        self._history = history
        self._files: dict[str, _File] = {}
        self._copies = LineDeduplicator()
        self._next_scan = 0.0
        self._refused: set[str] = set()  # beyond MOST
        self.patterns = tuple(wanted.patterns)

    @property
    def paths(self) -> Sequence[str]:
        """Give the paths that are followed."""
        return tuple(self._files)

    @property
    def caught_up(self) -> bool:
        """Say whether there is nothing left to read."""
        return all(file.caught_up for file in self._files.values())

    @property
    def behind(self) -> bool:
        """Say whether the last look ended before the files did."""
        return not all(file.follower.drained for file in self._files.values())

    def troubles(self) -> Iterator[tuple[str, str]]:
        """Give the paths that cannot be read, and why."""
        for path, file in self._files.items():
            if file.follower.error:
                yield path, file.follower.error

    def save(self) -> dict[str, FollowerState]:
        """Give each file's place; of those that have one and are not followed now, too."""
        return {**self._saved, **{path: file.follower.state() for path, file in self._files.items()}}

    def read(self, matcher: Matcher, now: Timestamp) -> Iterator[LogEvent]:
        """Read on in turns, and give what the signatures know."""
        if now.boottime >= self._next_scan:
            self._scan()
            self._next_scan = now.boottime + RESCAN
        end = time.monotonic() + _BUDGET
        for file in self._files.values():
            file.follower.refresh(now.boottime)
        hungry = list(self._files.items())
        while hungry:
            still = []
            for path, file in hungry:
                for block in file.follower.read(_TURN):
                    yield from self._events(path, file, block, matcher, now)
                if not file.follower.drained:
                    still.append((path, file))
            hungry = still if time.monotonic() < end else []
        for path, file in self._files.items():
            for block in file.follower.read_finished():
                yield from self._events(path, file, block, matcher, now)
            file.caught_up = file.caught_up or file.follower.drained
        self._history = False

    def _scan(self) -> None:
        """Take up new files, and leave those that no glob names any more."""
        wanted = expand(self._wanted.patterns)
        listed = set(wanted)
        for path in [path for path, file in self._files.items() if path not in listed and file.follower.idle]:
            self._files.pop(path).follower.close()
            self._saved.pop(path, None)
        for path in wanted:
            if path in self._files:
                continue
            if len(self._files) >= MOST:
                if path not in self._refused:
                    self._refused.add(path)
                    self._lose(NAME, TOO_MANY, 1)
                continue
            self._take_up(path)
        self._refused &= listed

    def _take_up(self, path: str) -> None:
        saved = self._saved.pop(path, None)

        def lose(reason: str) -> None:
            self._lose(path, reason, 1)

        follower = Follower(path, lose, saved, backlog=self._history)
        new = saved is not None or path_matches(path, self._wanted.known)
        self._files[path] = _File(follower, self._wanted.rule(path), 0.0 if new else self._wanted.not_before)

    def _events(self, path: str, file: _File, block: bytes, matcher: Matcher, now: Timestamp) -> Iterator[LogEvent]:
        file.lines += block.count(b"\n")
        file.bytes += len(block)
        for match in matcher.match_block(block, file.allow):
            at = now.wall if file.caught_up else _time_of(match, now)
            if at >= file.not_before and not (
                len(self._files) > 1 and self._copies.is_copy(match.line + match.signature.id.encode(), path)
            ):
                yield event(match, at)

    def traffic(self) -> Iterator[SourceStats]:
        """Say how much of each file has been read."""
        for path, file in self._files.items():
            yield SourceStats(path, file.lines, file.bytes, file.follower.lag, {})

    def close(self) -> None:
        """Let all files go."""
        for file in self._files.values():
            file.follower.close()


def _time_of(match: Match, now: Timestamp) -> float:
    """Believe the time of a line that was there before us; a line from the future was written now."""
    at = parse(match.header.time, now.wall) if match.header.time else None
    return now.wall if at is None else min(at, now.wall)
