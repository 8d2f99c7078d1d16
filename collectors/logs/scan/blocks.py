"""Parts of plain files as blocks of whole lines.

A line belongs to the part in which it begins, and so do the "last message repeated" lines that follow it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK_BYTES = 1 << 18  # fits into a core's L2 cache; measured the fastest
MAX_LINE_BYTES = 1 << 20  # of a longer line only the head is read
LINE_HEAD_BYTES = 8192
_TAIL_BYTES = 2048
_REPEATED = b"last message repeated"
_REPEATED_BYTES = 400  # a line that contains it is shorter


def blocks(name: str, start: int, stop: int, progress: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the lines that begin in `start` … `stop` of a plain file, in blocks; `progress` is called with the bytes read."""
    with open(name, "rb", buffering=0) as file:  # noqa: PTH123 — no buffer
        position = _first_line(file.fileno(), start)
        size = BLOCK_BYTES
        while position < stop:
            boundary = _boundary(file.fileno(), position) if size == BLOCK_BYTES and position + BLOCK_BYTES <= stop else 0
            data = os.pread(file.fileno(), boundary or size, position)
            final = len(data) < (boundary or size)
            if position + len(data) > stop:
                data, final = data[: _end_of_part(data, stop - position, last=final)], True
            cut = len(data) if final or boundary else whole_lines(data)
            if not cut and size < MAX_LINE_BYTES:
                size *= 4
                continue
            yield data[:cut] if cut else data[:LINE_HEAD_BYTES] + b"\n"
            progress(cut or len(data))
            position = position + cut if cut else _next_line(file.fileno(), position + len(data))
            size = BLOCK_BYTES
            if final:
                return


def _boundary(descriptor: int, position: int) -> int:
    """Return where a block of whole lines ends, so that it can be read without a copy to cut it; 0 if its last lines are too long."""
    tail = os.pread(descriptor, _TAIL_BYTES, position + BLOCK_BYTES - _TAIL_BYTES)
    cut = whole_lines(tail)
    return BLOCK_BYTES - _TAIL_BYTES + cut if len(tail) == _TAIL_BYTES and 0 < cut <= tail.rfind(b"\n") else 0


def _end_of_part(data: bytes, stop: int, *, last: bool) -> int:
    """Return the end of the lines that begin before `stop` and of the repetitions of the last one; `last`: the file ends with `data`."""
    end = data.find(b"\n", max(0, stop - 1)) + 1
    while end:
        following = data.find(b"\n", end) + 1 or (len(data) if last else 0)
        if _REPEATED not in data[end:following]:
            return end
        end = following
    return len(data)


def _first_line(descriptor: int, start: int) -> int:
    if not start:
        return 0
    position = _next_line(descriptor, start - 1)
    while _REPEATED in os.pread(descriptor, _REPEATED_BYTES, position).partition(b"\n")[0]:  # belongs to the line before, in another part
        position = _next_line(descriptor, position)
    return position


def _next_line(descriptor: int, position: int) -> int:
    while data := os.pread(descriptor, BLOCK_BYTES, position):
        if (newline := data.find(b"\n")) >= 0:
            return position + newline + 1
        position += len(data)
    return position


def whole_lines(data: bytes) -> int:
    """Return how many bytes of `data` are complete: whole lines, except the last if the next line may be its repetition."""
    end = data.rfind(b"\n") + 1
    begin = data.rfind(b"\n", 0, max(0, end - 1)) + 1
    while begin and _REPEATED in data[begin:end]:
        end, begin = begin, data.rfind(b"\n", 0, begin - 1) + 1
    return begin or end
