"""Shortest texts that a signature's pattern matches: one for each alternative of each branch, with and without each optional part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.logs.matching.hostile_lines import _member
from collectors.logs.matching.pattern import children, opcode, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.logs.matching.pattern import Node


def examples(pattern: str) -> set[bytes]:
    """Return a text for each alternative; the other branches take their first one."""
    return set(_sequence(parse(pattern)))


def _sequence(nodes: Iterable[Node]) -> list[bytes]:
    options = [_node(node) for node in nodes]
    first = [choices[0] for choices in options]
    return [b"".join(first)] + [
        b"".join([*first[:place], choice, *first[place + 1 :]]) for place, choices in enumerate(options) for choice in choices[1:]
    ]


def _node(node: Node) -> list[bytes]:
    kind, value = opcode(node), node[1]
    if kind == "LITERAL":
        return [bytes([value])]
    if kind in {"NOT_LITERAL", "ANY"}:
        return [b"a" if value != ord("a") else b"b"]
    if kind == "IN":
        return [bytes([_member(value)])]
    if kind == "AT":
        return [b""]
    bodies = [_sequence(child) for child in children(node)]
    if kind in {"MAX_REPEAT", "MIN_REPEAT"}:
        low = int(value[0])
        return ([b""] if low == 0 else []) + [body * max(1, low) for body in bodies[0]]
    return [text for body in bodies for text in body]
