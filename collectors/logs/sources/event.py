"""What a source hands on: a signature was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from collectors.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from collectors.logs.matching.header import Header
    from collectors.logs.matching.matcher import Hit, Matcher
    from collectors.logs.matching.packs import Signature

    Allow = Callable[[Signature, Header], bool]

_TOGETHER = 256  # messages scanned as one block
_SHOWN = 300  # characters of a line that people get to see
_INSTANCE_FIELDS = ("interface", "device", "pci")  # fields that name what a line speaks of


class LogEvent(NamedTuple):
    """One occurrence (or `times`, where syslog says that a message was repeated). `at` is Unix time."""

    signature: Signature
    at: float
    line: str
    instance: str = ""
    times: int = 1


def event(hit: Hit, at: float) -> LogEvent:
    """Make an event of a matched line."""
    instance = next((value for name in _INSTANCE_FIELDS if (value := hit.fields.get(name))), "")
    text = hit.header.message.decode("utf-8", "backslashreplace").strip()
    return LogEvent(hit.signature, at, printable(text[:_SHOWN]), instance[:64], hit.times)


def hits_in(matcher: Matcher, messages: Sequence[bytes], allow: Callable[[int], Allow]) -> Iterator[tuple[int, Hit]]:
    """Find the hits in messages that have no syslog header; each comes with its message's index. `allow` is asked for each message's rule.

    Messages hold no newline. Nearly all blocks of them hold no hit: only the others are looked at one by one.
    """
    for start in range(0, len(messages), _TOGETHER):
        some = messages[start : start + _TOGETHER]
        if matcher.hits(b"\n".join(some) + b"\n", _anybody, bare=True):
            for index, message in enumerate(some, start):
                for hit in matcher.hits(message + b"\n", allow(index), bare=True):
                    yield index, hit


def _anybody(_signature: Signature, _header: Header) -> bool:
    return True
