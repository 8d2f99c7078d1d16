"""Worst-case time of a signature's expression: crafted lines that make a backtracking engine slow, and the time it takes on them."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from collectors.logs.matching.pattern import children, opcode, parse, write_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from collectors.logs.matching.pattern import Node

LENGTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)  # ascending: an exponential pattern does not end on a long line
MOST_CUTS = 100  # prefixes of a pattern that are tried: more than a shipped signature has items that are no literals
SLOW = 0.05  # seconds for one crafted line of 8 KiB; shipped signatures stay below a tenth of it
_FILL = b"a0 :-~Z_x/.[("  # characters to try where a negated class allows nearly everything


def hostile_lines(pattern: str, length: int = 8192) -> Iterator[bytes]:
    """Yield lines that make a backtracking engine slow: each prefix of a match, repeated, without the rest."""
    items = list(parse(pattern))
    for cut in _cuts(items):
        for extra in (0, 7):
            piece = b"".join(_example(item, extra) for item in items[:cut])
            yield (piece * (length // max(1, len(piece)) + 1))[:length]
        head, last = b"".join(_example(item, 0) for item in items[: cut - 1]), _example(items[cut - 1], length)
        yield (head + last)[:length]


def _cuts(items: Sequence[Node]) -> Sequence[int]:
    """Return where to cut a pattern: after each item, of a long one after MOST_CUTS items that are no literals, evenly spread."""
    if len(items) <= MOST_CUTS:
        return range(1, len(items) + 1)
    cuts = [number for number, item in enumerate(items, 1) if opcode(item) != "LITERAL"] or [len(items)]
    return [*cuts[:: -(-len(cuts) // MOST_CUTS)], len(items)]


def worst_case_seconds(pattern: str, enough: float = SLOW, lengths: Iterable[int] = LENGTHS) -> float:
    """Return the CPU seconds of `re` on the worst crafted line, shortest lines first, up to the first that takes `enough`."""
    expression = re.compile(pattern.encode())

    def once(line: bytes) -> float:
        start = time.thread_time()  # not wall clock: the result must not depend on the host's load
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
    """Return the shortest text that a node matches, with `extra` more repetitions of each repeat."""
    kind, value = opcode(node), node[1]
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
    """Return a byte that a character class accepts, a common one if possible."""
    accepts = re.compile(write_class(members).encode())
    candidates: Iterator[int] = (code for code in (*_FILL, *range(32, 256)) if accepts.match(bytes([code])))
    return next(candidates)
