r"""A signature's regular expression: whether it is safe to run, and what hyperscan needs of it.

Two engines look at a line. Hyperscan names the few lines of a block that may match, and `re` says whether they do and what the fields
are. So hyperscan gets a cheaper expression that matches whenever the full one does: no captures, no optional ends, no anchors to the
message (it sees whole lines, the header included). Both see bytes: `\d`, `\w` and `(?i)` are ASCII.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

_sre: Any = importlib.import_module("re._parser")  # private, but the only parser that reads exactly what `re` reads
_LONG = 32  # a repeat with a higher bound is as good as endless: hyperscan unrolls bounds, and nesting them costs `re` as much
_CLASSES = {"DIGIT": "0-9", "SPACE": r" \t\r\f\v", "WORD": "0-9A-Za-z_"}  # of a line: it holds no newline
LINE_END = r"[ \t\r\]]*$"  # `$` of a message: the line may go on with CR, or with the bracket of "message repeated"

Node = tuple[Any, Any]


class BadPattern(ValueError):  # noqa: N818 — it is the user's mistake, told to the user, like BadInput
    """The expression cannot be run over every line of a host; the text says why."""


@functools.lru_cache(512)
def prefilter(pattern: str) -> str:
    """Give the expression hyperscan is to look for. It matches each line on which `pattern` matches, and a few more.

    Raises `BadPattern` for syntax errors, for what has no linear-time form (look-around, references, nested repeats), and for
    expressions that match everything.
    """
    tree = parse(pattern)
    _refuse_nested(tree, inside=False)
    trimmed = _trim(_trim(list(tree), -1), 0)
    if not trimmed:
        raise BadPattern("matches every line: give it some fixed text")
    return ("(?i)" if tree.state.flags & 2 else "") + _write(trimmed)


def parse(pattern: str) -> Any:  # noqa: ANN401 — the tree of a module without types
    """Read an expression as `re` does. Raises `BadPattern`."""
    try:
        return _sre.parse(pattern.encode())
    except (ValueError, OverflowError, RecursionError, _sre.error) as error:
        reason = f"is not a regular expression: {error}"
        raise BadPattern(reason) from None


def name(node: Node) -> str:
    """Name a node's kind: LITERAL, IN, MAX_REPEAT, …."""
    return str(node[0])


def children(node: Node) -> list[list[Node]]:
    """Give a node's sequences, whichever kind it is."""
    kind, value = name(node), node[1]
    if kind == "BRANCH":
        return [list(branch) for branch in value[1]]
    if kind == "SUBPATTERN":
        return [list(value[3])]
    if kind in {"MAX_REPEAT", "MIN_REPEAT"}:
        return [list(value[2])]
    if kind in {"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"}:
        return []
    what = {"ASSERT": "look-ahead or look-behind", "ASSERT_NOT": "look-ahead or look-behind", "GROUPREF": "a reference to a group"}
    reason = f"uses {what.get(kind, kind.lower().replace('_', ' '))}, which cannot be searched in linear time"
    raise BadPattern(reason)


def _refuse_nested(nodes: Any, *, inside: bool) -> None:  # noqa: ANN401
    """Refuse `(a+)+`: on a line that almost matches, `re` would need longer than the universe has."""
    for node in nodes:
        repeat = name(node) in {"MAX_REPEAT", "MIN_REPEAT"} and int(node[1][1]) > _LONG
        if repeat and inside:
            raise BadPattern("repeats something that repeats itself, which can take for ever: take one of the repeats away")
        for child in children(node):
            _refuse_nested(child, inside=inside or repeat)


def _nullable(node: Node) -> bool:
    """Say whether a node can match nothing at all; line anchors count, since hyperscan is not told of them at the ends."""
    kind, value = name(node), node[1]
    if kind == "AT":
        return "BEGINNING" in str(value)
    if kind in {"MAX_REPEAT", "MIN_REPEAT"} and int(value[0]) == 0:
        return True
    sequences = children(node)
    return bool(sequences) and any(all(map(_nullable, sequence)) for sequence in sequences)


def _trim(nodes: list[Node], end: int) -> list[Node]:
    """Drop what is optional from one end (0 or -1), and keep only the least of a repeat that stands there."""
    nodes = list(nodes)
    while nodes and _nullable(nodes[end]):
        nodes.pop(end)
    if nodes:
        kind, value = nodes[end]
        if name(nodes[end]) in {"MAX_REPEAT", "MIN_REPEAT"}:
            nodes[end] = (kind, (value[0], value[0], value[2]))
        elif name(nodes[end]) == "SUBPATTERN":
            nodes[end] = (kind, (*value[:3], _trim(list(value[3]), end)))
        elif name(nodes[end]) == "BRANCH":
            nodes[end] = (kind, (None, [_trim(list(branch), end) for branch in value[1]]))
    return nodes


def _write(nodes: list[Node]) -> str:
    return "".join(map(_write_node, nodes))


def _write_node(node: Node) -> str:  # noqa: PLR0911 — one return for each kind of node
    kind, value = name(node), node[1]
    if kind == "LITERAL":
        return _byte(value)
    if kind == "NOT_LITERAL":
        return f"[^\\n{_byte(value)}]"
    if kind == "ANY":
        return r"[^\n]"
    if kind == "IN":
        return write_class(value)
    if kind == "AT":
        return {"AT_END": LINE_END, "AT_END_STRING": LINE_END, "AT_BOUNDARY": r"\b"}.get(str(value), "")
    bodies = [_write(child) for child in children(node)]
    if kind == "BRANCH":
        return f"(?:{'|'.join(dict.fromkeys(filter(None, bodies)))}){'' if all(bodies) else '?'}"
    if kind == "SUBPATTERN":
        return f"({'?i:' if value[1] & 2 else '?:'}{bodies[0]})"
    low, high = int(value[0]), int(value[1])
    return f"(?:{bodies[0]}){{{low},{high if high <= _LONG else ''}}}" if bodies[0] else ""


def write_class(members: list[Node]) -> str:
    """Write a class of characters for hyperscan."""
    negated = name(members[0]) == "NEGATE"
    parts = [r"\n"] if negated else []
    for member in members[negated:]:
        kind, value = name(member), member[1]
        if kind == "CATEGORY":
            category = str(value).removeprefix("CATEGORY_")
            spelled = {"NOT_DIGIT": r"\D", "NOT_SPACE": r"\S", "NOT_WORD": r"\W"}.get(category)
            parts.append(spelled or _CLASSES[category])
        else:
            parts.append(_byte(value) if kind == "LITERAL" else f"{_byte(value[0])}-{_byte(value[1])}")
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def _byte(code: int) -> str:
    return chr(code) if chr(code).isascii() and chr(code).isalnum() else f"\\x{code:02x}"
