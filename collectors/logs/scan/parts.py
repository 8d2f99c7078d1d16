"""Old logs, part by part: what one piece of a file holds. Parts know nothing of each other, so each may have a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from sys import intern
from typing import TYPE_CHECKING, NamedTuple

from collectors.logs.matching.header import split_header
from collectors.logs.matching.matcher import allow_claimed_origin
from collectors.logs.scan import archive, blocks
from collectors.logs.scan import journal_export as exports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from collectors.logs.matching.matcher import Match, Matcher

PART = 32 << 20  # bytes: a second of work at most, so that processes end together
_MARKS = 1 << 16  # bytes between two looks at the date, so that a year that turned unseen between two events is not missed


class Part(NamedTuple):
    """Bytes `start` … `stop` of a file, or all of it where `whole`."""

    file: int
    name: str
    start: int = 0
    stop: int = 0
    whole: bool = False


class Event(NamedTuple):
    """A line that matched, or (`signature` empty) only a date passed by. `at` is Unix time, or the header's time as it stands."""

    signature: str
    host: str
    instance: str
    at: float | bytes | None
    times: int = 1


@dataclass
class Found:
    """What a part holds, in the order of its lines; `problem` says why it could not be read to its end."""

    events: list[Event] = field(default_factory=list)
    size: int = 0
    problem: str = ""


def divide(kinds: Sequence[tuple[str, archive.Kind]]) -> Iterator[Part]:
    """Cut files into parts; what cannot be cut is one part."""
    for number, (name, kind) in enumerate(kinds):
        if not kind.divisible:
            yield Part(number, name, whole=True)
        else:
            yield from (Part(number, name, start, min(kind.size, start + PART)) for start in range(0, kind.size, PART))


def read(part: Part, matcher: Matcher, progress: Callable[[int], None]) -> Found:
    """Look through one part; `progress` is told bytes of the file as they are read. Never raises for what it finds there."""
    found = Found()
    day = b""
    try:
        pieces = archive.stream(part.name, progress) if part.whole else blocks.blocks(part.name, part.start, part.stop, progress)
        export: bool | None = None
        for block in pieces:
            if export is None:
                export = exports.recognise(block if part.whole or not part.start else archive.look(part.name).head)
            found.size += len(block)
            if export:
                found.events += merged(_event(match, entry.at, entry.host) for match, entry in exports.match_entries(matcher, block))
                continue
            marks = _days(block, day)
            matches = matcher.match_block(block, allow_claimed_origin)
            if marks:
                day = block[marks[-1] : marks[-1] + 6]
                found.events += merged(_in_order(block, marks, matches))
            else:
                found.events += merged(_event(match, match.header.time or None, match.header.host) for match in matches)
    except archive.Incomplete as error:
        found.problem = str(error)
    except OSError as error:
        found.problem = f"cannot be read: {error.strerror}"
    return found


def _event(match: Match, at: float | bytes | None, host: str) -> Event:
    return Event(match.signature.id, intern(host), intern(match.instance), at, match.times)  # millions of events share a few names


def merged(events: Iterable[Event]) -> Iterator[Event]:
    """Make one event of neighbours that differ in nothing: a log of second's resolution has many in a second."""
    last: Event | None = None
    for event in events:
        if last is None:
            last = event
        elif event[:4] == last[:4]:
            last = last._replace(times=last.times + event.times)
        else:
            yield last
            last = event
    if last is not None:
        yield last


def _days(block: bytes, day: bytes) -> list[int]:
    """Find lines whose first bytes (`Mar  5`) are not those of the line looked at before; the last line is always looked at."""
    starts = []
    for offset in (*range(0, len(block), _MARKS), len(block) - 2):
        start = block.rfind(b"\n", 0, max(0, offset)) + 1
        if block[start : start + 6] != day:
            day = block[start : start + 6]
            starts.append(start)
    return starts


def _in_order(block: bytes, marks: Sequence[int], matches: Sequence[Match]) -> list[Event]:
    """Join dates and events by where they stand."""
    both = [(match.start, 1, _event(match, match.header.time or None, match.header.host)) for match in matches]
    for start in marks:
        time = split_header(block[start : start + 200].partition(b"\n")[0]).time
        both += [(start, 0, Event("", "", "", time))] if time else []
    return [event for _, _, event in sorted(both, key=lambda one: one[:2])]
