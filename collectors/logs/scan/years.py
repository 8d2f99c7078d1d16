"""Years of times that have none (RFC 3164). No clock, no I/O.

A file is evaluated backwards: its last line is not newer than the file's mtime, and each line is not newer than the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.logs.matching.timestamps import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAY = 86_400.0
_MONTH = 31 * _DAY
_MAX_SPAN = 30 * 366 * _DAY  # of one file


def resolve(texts: Sequence[bytes], reference: float) -> list[float | None]:
    """Return header times, in the order of their lines, as Unix times; None for what is no time. `reference` is the file's mtime.

    A clock that was wrong for some lines (at boot) does not change the year of those before them. Lines that are in no order at all
    get the latest possible year each.
    """
    resolved = _backwards(texts, reference)
    if any(at is not None and at < reference - _MAX_SPAN for at in resolved):
        return [parse(text, reference) for text in texts]
    return resolved


def _backwards(texts: Sequence[bytes], reference: float) -> list[float | None]:
    resolved: list[float | None] = []
    cache: dict[bytes, float | None] = {}
    for index in range(len(texts) - 1, -1, -1):
        text = texts[index]
        if (at := cache.get(text)) is None or at > reference + _DAY:
            at = cache[text] = parse(text, reference)
        resolved.append(at)
        if (
            at is not None
            and at < reference
            and not (reference - at > _MONTH and len(resolved) > 1 and _is_stray(texts, index, at, reference))
        ):
            reference = at
            if len(cache) > 10_000:  # noqa: PLR2004 — enough for a burst
                cache.clear()
    resolved.reverse()
    return resolved


def _is_stray(texts: Sequence[bytes], index: int, at: float, reference: float) -> bool:
    """Return whether the lines before this one are at the reference's time again: the clock was wrong for this line only."""
    for earlier in range(index - 1, max(-1, index - 1000), -1):
        if (before := parse(texts[earlier], reference)) is not None and abs(before - at) > 2 * _DAY:
            return reference - before < _MONTH
    return False
