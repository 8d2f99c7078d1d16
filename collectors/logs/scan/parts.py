"""Parts of log files: independent of each other, so that each can be read by a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from sys import intern
from typing import TYPE_CHECKING, NamedTuple

from collectors.logs.matching.header import split_header
from collectors.logs.matching.matcher import allow_claimed_origin
from collectors.logs.scan import archive, blocks, journal_export

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from collectors.logs.matching.matcher import Match, Matcher

PART_BYTES = 32 << 20  # a second of work at most, so that processes end together
_DATE_BYTES = 1 << 16  # between two lines whose date is read, so that a turn of the year between two events is not missed


class FilePart(NamedTuple):
    """Bytes `start` … `stop` of a file, or all of it if `whole`."""

    file: int
    name: str
    start: int = 0
    stop: int = 0
    whole: bool = False


class ScanEvent(NamedTuple):
    """A line that matched, or (`signature` empty) a date only. `at` is Unix time, or the time in the line's header as bytes."""

    signature: str
    host: str
    instance: str
    at: float | bytes | None
    times: int = 1
    alias: str = ""


@dataclass
class PartResult:
    """Events of a part, in the order of its lines; `problem` is the reason if it could not be read to its end."""

    events: list[ScanEvent] = field(default_factory=list)
    size: int = 0
    problem: str = ""


def divide(files: Sequence[tuple[str, archive.LogFile]]) -> Iterator[FilePart]:
    """Divide files into parts; a file that is not divisible is one part."""
    for number, (name, file) in enumerate(files):
        if not file.is_divisible:
            yield FilePart(number, name, whole=True)
        else:
            yield from (FilePart(number, name, start, min(file.size, start + PART_BYTES)) for start in range(0, file.size, PART_BYTES))


def read(part: FilePart, matcher: Matcher, progress: Callable[[int], None]) -> PartResult:
    """Match one part; `progress` is called with the bytes of the file as they are read. Raises nothing for unreadable files."""
    result = PartResult()
    day = b""
    try:
        pieces = archive.stream(part.name, progress) if part.whole else blocks.blocks(part.name, part.start, part.stop, progress)
        is_export: bool | None = None
        for block in pieces:
            if is_export is None:
                is_export = journal_export.is_export(block if part.whole or not part.start else archive.inspect(part.name).head)
            result.size += len(block)
            if is_export:
                matched = journal_export.match_entries(matcher, block)
                result.events += merged(_event(match, entry.at, entry.host) for match, entry in matched)
                continue
            dates = _new_dates(block, day)
            matches = matcher.match_block(block, allow_claimed_origin)
            if dates:
                day = block[dates[-1] : dates[-1] + 6]
                result.events += merged(_in_order(block, dates, matches))
            else:
                result.events += merged(_event(match, match.header.time or None, match.header.host) for match in matches)
    except archive.IncompleteRead as error:
        result.problem = str(error)
    except OSError as error:
        result.problem = f"cannot be read: {error.strerror}"
    return result


def _event(match: Match, at: float | bytes | None, host: str) -> ScanEvent:
    names = intern(host), intern(match.instance)  # millions of events share a few names
    return ScanEvent(match.signature.id, *names, at, match.times, intern(match.alias))


def merged(events: Iterable[ScanEvent]) -> Iterator[ScanEvent]:
    """Merge consecutive events that differ in nothing: with a resolution of one second there are many."""
    last: ScanEvent | None = None
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


def _new_dates(block: bytes, day: bytes) -> list[int]:
    """Return offsets of sampled lines whose first bytes (`Mar  5`) differ from those of the sample before; the last line is sampled."""
    starts = []
    for offset in (*range(0, len(block), _DATE_BYTES), len(block) - 2):
        start = block.rfind(b"\n", 0, max(0, offset)) + 1
        if block[start : start + 6] != day:
            day = block[start : start + 6]
            starts.append(start)
    return starts


def _in_order(block: bytes, dates: Sequence[int], matches: Sequence[Match]) -> list[ScanEvent]:
    """Merge dates and matches by their offset in the block."""
    both = [(match.start, 1, _event(match, match.header.time or None, match.header.host)) for match in matches]
    for start in dates:
        time = split_header(block[start : start + 200].partition(b"\n")[0]).time
        both += [(start, 0, ScanEvent("", "", "", time))] if time else []
    return [event for _, _, event in sorted(both, key=lambda item: item[:2])]
