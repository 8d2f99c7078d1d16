"""Output of log sources: events, losses and statistics. `event()` turns a match of a signature into an event."""

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
    OnLoss = Callable[[str, str, int], None]  # source, reason, count

KERNEL = "kernel"  # sender of lines that only the kernel can write

_BATCH = 256  # messages scanned as one block
_MAX_LINE = 300  # characters of a line that are shown


class LogEvent(NamedTuple):
    """One occurrence of a signature (or `times`, where syslog reports that the message was repeated). `at` is Unix time.

    `unit` is the sender: a systemd unit or process name (journal), a program's tag (files), or KERNEL. `alias` is another name of
    the instance.
    """

    signature: Signature
    at: float
    line: str
    instance: str = ""
    times: int = 1
    unit: str = ""
    alias: str = ""


class SourceStats(NamedTuple):
    """What was read of one source since the start. `lag` in bytes is None where it cannot be known."""

    source: str
    lines: int
    bytes: int
    lag: int | None


def event(match: Match, at: float, unit: str = "") -> LogEvent:
    """Return the event of a matched line that `unit` sent."""
    text = match.header.message.decode("utf-8", "backslashreplace").strip()
    return LogEvent(match.signature, at, printable(text[:_MAX_LINE]), match.instance, match.times, printable(unit), match.alias)


def match_messages(matcher: Matcher, messages: Sequence[bytes], allow: Callable[[int], Allow]) -> Iterator[tuple[int, Match]]:
    """Yield the matches in messages without a syslog header, each with its message's index. `allow` returns a message's own filter.

    Messages hold no newline. Nearly all blocks of them hold no match; only the others are matched message by message.
    """
    for start in range(0, len(messages), _BATCH):
        batch = messages[start : start + _BATCH]
        if matcher.match_block(b"\n".join(batch) + b"\n", allow_any, bare=True):
            for index, message in enumerate(batch, start):
                for match in matcher.match_block(message + b"\n", allow(index), bare=True):
                    yield index, match
