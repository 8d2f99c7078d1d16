"""Log files as a source: each path of the followed patterns has its own follower, and a busy file does not delay the others."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from collectors.disk import note
from collectors.logs.matching.timestamps import parse
from collectors.logs.sources.coverage import FollowedFile
from collectors.logs.sources.event import KERNEL, SourceStats, event
from collectors.logs.tailing.follower import Follower
from collectors.logs.tailing.paths import expand, path_matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from collectors.logs.clock import Timestamp
    from collectors.logs.matching.matcher import Match, Matcher
    from collectors.logs.sources.event import Allow, LogEvent, OnLoss
    from collectors.logs.state import FollowerState

NAME = "files"
LOSS_REASONS = ("truncated", "rotated", "oversize", "unreadable", "skipped")
TOO_MANY = "too_many"
MAX_FILES = 512  # followed at once: each holds a descriptor and is polled twice a second
SCAN_SECONDS = 5.0  # between two expansions of the globs
_READ_SECONDS = 0.5  # of one read, after at least one turn of each file
_BLOCKS_PER_TURN = 4  # of a file, before the next file's turn
_MAX_DEDUPLICATED = 4096  # lines


class FollowPlan(NamedTuple):
    """What to follow: `patterns` are paths and globs, `file_filter` returns a path's filter of signatures.

    Lines from before the Unix time `not_before` were counted already, from another source, except in files that match
    `known_patterns`, which were followed before.
    """

    patterns: Sequence[str]
    file_filter: Callable[[str], Allow]
    not_before: float = 0.0
    known_patterns: Sequence[str] = ()


class LineDeduplicator:
    """Detects a line that another file holds too: rsyslog writes a message to each file whose rule matches it.

    The same line twice in one file is two events. The last _MAX_DEDUPLICATED lines are kept.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[bytes, dict[str, int]] = OrderedDict()

    def is_duplicate(self, line: bytes, file: str) -> bool:
        """Count a line of a file; True if another file had it as often before."""
        counts = self._counts.setdefault(line, {})
        self._counts.move_to_end(line)
        counts[file] = counts.get(file, 0) + 1
        if len(self._counts) > _MAX_DEDUPLICATED:
            self._counts.popitem(last=False)
        return counts[file] <= max((count for other, count in counts.items() if other != file), default=0)


class _LogFile:
    """A followed path with its filter and its totals."""

    def __init__(self, follower: Follower, allow: Allow, not_before: float) -> None:
        self.follower = follower
        self.allow = allow
        self.not_before = not_before  # Unix time: earlier lines were counted from another source
        self.caught_up = False
        self.lines = self.bytes = 0


class FileSource:
    """Follows files. Losses are reported by path."""

    def __init__(self, plan: FollowPlan, saved: Mapping[str, FollowerState], on_loss: OnLoss, *, backlog: bool) -> None:
        """Continue from the saved states; `backlog` reads the end of files that are there now and have none."""
        self._plan = plan
        self._saved = dict(saved)
        self._on_loss = on_loss
        self._backlog = backlog
        self._files: dict[str, _LogFile] = {}
        self._deduplicator = LineDeduplicator()
        self._next_scan = 0.0
        self._refused: set[str] = set()  # paths beyond MAX_FILES
        self.patterns = tuple(plan.patterns)

    @property
    def paths(self) -> Sequence[str]:
        """The followed paths."""
        return tuple(self._files)

    @property
    def caught_up(self) -> bool:
        """True if each file was read to its end once."""
        return all(file.caught_up for file in self._files.values())

    @property
    def drained(self) -> bool:
        """True if the last read reached the end of each file."""
        return all(file.follower.drained for file in self._files.values())

    def state(self) -> dict[str, FollowerState]:
        """Return each path's state, also of paths that have one and are not followed now."""
        return {**self._saved, **{path: file.follower.state() for path, file in self._files.items()}}

    def read(self, matcher: Matcher, now: Timestamp) -> Iterator[LogEvent]:
        """Read the files in turns, and yield the events."""
        if now.boottime >= self._next_scan:
            self._scan()
            self._next_scan = now.boottime + SCAN_SECONDS
        end = time.monotonic() + _READ_SECONDS
        for file in self._files.values():
            note(file.follower.path)
            file.follower.refresh(now.boottime)
        unread = list(self._files.items())
        while unread:
            remaining = []
            for path, file in unread:
                note(path)
                for block in file.follower.read(_BLOCKS_PER_TURN):
                    yield from self._events(path, file, block, matcher, now)
                if not file.follower.drained:
                    remaining.append((path, file))
            unread = remaining if time.monotonic() < end else []
        for path, file in self._files.items():
            for block in file.follower.read_finished():
                yield from self._events(path, file, block, matcher, now)
            file.caught_up = file.caught_up or file.follower.drained
        self._backlog = False

    def _scan(self) -> None:
        """Follow new files, and drop those that no glob matches any more."""
        note(self.patterns[0])
        paths = expand(self._plan.patterns)
        listed = set(paths)
        for path in [path for path, file in self._files.items() if path not in listed and file.follower.idle]:
            self._files.pop(path).follower.close()
            self._saved.pop(path, None)
        for path in paths:
            if path in self._files:
                continue
            if len(self._files) >= MAX_FILES:
                if path not in self._refused:
                    self._refused.add(path)
                    self._on_loss(NAME, TOO_MANY, 1)
                continue
            self._follow(path)
        self._refused &= listed

    def _follow(self, path: str) -> None:
        saved = self._saved.pop(path, None)

        def on_loss(reason: str) -> None:
            self._on_loss(path, reason, 1)

        follower = Follower(path, on_loss, saved, backlog=self._backlog)
        was_followed = saved is not None or path_matches(path, self._plan.known_patterns)
        self._files[path] = _LogFile(follower, self._plan.file_filter(path), 0.0 if was_followed else self._plan.not_before)

    def _events(self, path: str, file: _LogFile, block: bytes, matcher: Matcher, now: Timestamp) -> Iterator[LogEvent]:
        file.lines += block.count(b"\n")
        file.bytes += len(block)
        for match in matcher.match_block(block, file.allow):
            at = now.wall if file.caught_up else _time_of(match, now)
            if at >= file.not_before and not (
                len(self._files) > 1 and self._deduplicator.is_duplicate(match.line + match.signature.id.encode(), path)
            ):
                yield event(match, at, _sender(match))

    def stats(self) -> Iterator[SourceStats]:
        """Yield what was read of each file."""
        for path, file in self._files.items():
            yield SourceStats(path, file.lines, file.bytes, file.follower.lag)

    def followed(self) -> list[FollowedFile]:
        """Return which of the files can be read."""
        return [FollowedFile(path, file.follower.error, not file.follower.idle) for path, file in self._files.items()]

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.follower.close()


def _sender(match: Match) -> str:
    """Return the tag of the program, without its path; empty where a line claims to be the kernel's, which no file proves."""
    program = (match.header.program or "").rpartition("/")[2]
    return "" if program == KERNEL else program


def _time_of(match: Match, now: Timestamp) -> float:
    """Return a backlog line's own time, at most the present; the present where it has none."""
    at = parse(match.header.time, now.wall) if match.header.time else None
    return now.wall if at is None else min(at, now.wall)
