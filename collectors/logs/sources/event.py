"""What a source hands on: a signature was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from collectors.logs.matching.matcher import allow_any
from collectors.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from collectors.logs.matching.header import Header
    from collectors.logs.matching.matcher import Match, Matcher
    from collectors.logs.matching.packs import Signature

    Allow = Callable[[Signature, Header], bool]

_TOGETHER = 256  # messages scanned as one block
_SHOWN = 300  # characters of a line that people get to see


class LogEvent(NamedTuple):
    """One occurrence (or `times`, where syslog says that a message was repeated). `at` is Unix time."""

    signature: Signature
    at: float
    line: str
    instance: str = ""
    times: int = 1


def event(match: Match, at: float) -> LogEvent:
    """Make an event of a matched line."""
    text = match.header.message.decode("utf-8", "backslashreplace").strip()
    return LogEvent(match.signature, at, printable(text[:_SHOWN]), match.instance, match.times)


def match_messages(matcher: Matcher, messages: Sequence[bytes], allow: Callable[[int], Allow]) -> Iterator[tuple[int, Match]]:
    """Yield the matches in messages without a syslog header, each with its message's index. `allow` returns a message's own filter.

    Messages hold no newline. Nearly all blocks of them hold no match; only the others are matched message by message.
    """
    for start in range(0, len(messages), _TOGETHER):
        some = messages[start : start + _TOGETHER]
        if matcher.match_block(b"\n".join(some) + b"\n", allow_any, bare=True):
            for index, message in enumerate(some, start):
                for match in matcher.match_block(message + b"\n", allow(index), bare=True):
                    yield index, match
