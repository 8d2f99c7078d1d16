"""Parts of plain files as blocks of whole lines. A line belongs to the part in which it begins, and what repeats it goes with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 1 << 18  # bytes: what fits into a core's own cache, measured the fastest
LONGEST = 1 << 20  # a line beyond it is not a log line; only its head is looked at
HEAD = 8192
_TAIL = 2048  # bytes
_REPEATED = b"last message repeated"
_SHORT = 400  # bytes: a line that says so is shorter


def blocks(name: str, start: int, stop: int, progress: Callable[[int], None]) -> Iterator[bytes]:
    """Give the lines that begin in `start` … `stop` of a plain file, in blocks. `progress` is told bytes as they are read."""
    with open(name, "rb", buffering=0) as file:  # noqa: PTH123 — no buffer
        position = _first_line(file.fileno(), start)
        size = BLOCK
        while position < stop:
            known = _boundary(file.fileno(), position) if size == BLOCK and position + BLOCK <= stop else 0
            data = os.pread(file.fileno(), known or size, position)
            final = len(data) < (known or size)
            if position + len(data) > stop:
                data, final = data[: _end_of_part(data, stop - position, last=final)], True
            cut = len(data) if final or known else whole_lines(data)
            if not cut and size < LONGEST:
                size *= 4
                continue
            yield data[:cut] if cut else data[:HEAD] + b"\n"
            progress(cut or len(data))
            position = position + cut if cut else _next_line(file.fileno(), position + len(data))
            size = BLOCK
            if final:
                return


def _boundary(descriptor: int, position: int) -> int:
    """Look where a block of whole lines ends before reading it, so that cutting it copies nothing; 0 where lines are too long for that."""
    tail = os.pread(descriptor, _TAIL, position + BLOCK - _TAIL)
    cut = whole_lines(tail)
    return BLOCK - _TAIL + cut if len(tail) == _TAIL and 0 < cut <= tail.rfind(b"\n") else 0


def _end_of_part(data: bytes, stop: int, *, last: bool) -> int:
    """Find where the lines end that begin before `stop`, and what repeats the last of them; `last`: the file ends with `data`."""
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
    while _REPEATED in os.pread(descriptor, _SHORT, position).partition(b"\n")[0]:  # of the line before, which is another part's
        position = _next_line(descriptor, position)
    return position


def _next_line(descriptor: int, position: int) -> int:
    while data := os.pread(descriptor, BLOCK, position):
        if (found := data.find(b"\n")) >= 0:
            return position + found + 1
        position += len(data)
    return position


def whole_lines(data: bytes) -> int:
    """Say how much of `data` to take now: whole lines, and never one whose repetition the next line may tell."""
    end = data.rfind(b"\n") + 1
    begin = data.rfind(b"\n", 0, max(0, end - 1)) + 1
    while begin and _REPEATED in data[begin:end]:
        end, begin = begin, data.rfind(b"\n", 0, begin - 1) + 1
    return begin or end
