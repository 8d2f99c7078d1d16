"""How long a signature's expression can take: crafted lines that a backtracking engine finds hard, and the time it needs for them."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from collectors.logs.matching.pattern import children, name, parse, write_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collectors.logs.matching.pattern import Node

LENGTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)  # short ones first: an exponential pattern never ends on a long one
SLOW = 0.05  # seconds for one crafted line of 8 KiB; shipped signatures stay below a tenth of it
_FILL = b"a0 :-~Z_x/.[("  # characters to try where a negated class allows nearly everything


def hostile_lines(pattern: str, length: int = 8192) -> Iterator[bytes]:
    """Make lines that a backtracking engine finds hard: each beginning of a match, over and over, and never its end."""
    items = list(parse(pattern))
    for cut in range(1, len(items) + 1):
        for extra in (0, 7):
            piece = b"".join(_example(item, extra) for item in items[:cut])
            yield (piece * (length // max(1, len(piece)) + 1))[:length]
        head, last = b"".join(_example(item, 0) for item in items[: cut - 1]), _example(items[cut - 1], length)
        yield (head + last)[:length]


def slowest(pattern: str, enough: float = SLOW, lengths: Iterable[int] = LENGTHS) -> float:
    """Time `re` on the worst of the crafted lines, in seconds of CPU. It begins with short ones and stops once it has seen `enough`."""
    expression = re.compile(pattern.encode())

    def once(line: bytes) -> float:
        start = time.thread_time()  # a busy host must not refuse what an idle one takes
        expression.search(line)
        return time.thread_time() - start

    worst = 0.0
    for length in lengths:
        for line in hostile_lines(pattern, length):
            worst = max(worst, min(once(line) for _ in range(2)))
            if worst >= enough:
                return worst
    return worst


def _example(node: Node, extra: int) -> bytes:
    """Write the shortest text a node matches, its repeats `extra` times longer."""
    kind, value = name(node), node[1]
    if kind == "LITERAL":
        return bytes([value])
    if kind in {"NOT_LITERAL", "ANY"}:
        return b"a" if value != ord("a") else b"b"
    if kind == "IN":
        return bytes([_member(value)])
    if kind == "AT":
        return b""
    body = b"".join(_example(child, extra) for child in children(node)[0])
    if kind in {"MAX_REPEAT", "MIN_REPEAT"}:
        return body * min(int(value[0]) + max(extra, int(value[0]) == 0), int(value[1]))
    return body


def _member(members: list[Node]) -> int:
    """Pick a byte that belongs to a class: the first it names, or a common one where it names what it excludes."""
    accepts = re.compile(write_class(members).encode())
    candidates: Iterator[int] = (code for code in (*_FILL, *range(32, 256)) if accepts.match(bytes([code])))
    return next(candidates)
