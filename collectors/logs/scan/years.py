"""Years for times that have none (RFC 3164). No clock, no I/O.

A file is read backwards: its last line is not younger than the file, and each line is not younger than the one after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.logs.matching.timestamps import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAY = 86_400.0
_MONTH = 31 * _DAY
_LONGEST = 30 * 366 * _DAY  # no file without years holds more of them


def place(texts: Sequence[bytes], reference: float) -> list[float | None]:
    """Read header times, in the order of their lines, as Unix times. `reference` is when the file was changed last.

    None for what is no time. A clock that was wrong for some lines (at boot) does not turn the year for those before them; where the
    lines are in no order at all, each has the latest year it can have.
    """
    placed = _backwards(texts, reference)
    if any(at is not None and at < reference - _LONGEST for at in placed):
        return [parse(text, reference) for text in texts]
    return placed


def _backwards(texts: Sequence[bytes], reference: float) -> list[float | None]:
    placed: list[float | None] = []
    memory: dict[bytes, float | None] = {}
    for index in range(len(texts) - 1, -1, -1):
        text = texts[index]
        if (at := memory.get(text)) is None or at > reference + _DAY:
            at = memory[text] = parse(text, reference)
        placed.append(at)
        if at is not None and at < reference and not (reference - at > _MONTH and placed[:-1] and _strays(texts, index, at, reference)):
            reference = at
            if len(memory) > 10_000:  # noqa: PLR2004 — enough for a burst
                memory.clear()
    placed.reverse()
    return placed


def _strays(texts: Sequence[bytes], index: int, at: float, reference: float) -> bool:
    """Say whether the lines before this one are back at the reference's time."""
    for earlier in range(index - 1, max(-1, index - 1000), -1):
        found = parse(texts[earlier], reference)
        if found is not None and abs(found - at) > 2 * _DAY:
            return reference - found < _MONTH
    return False
