r"""Regular expressions of signatures: check that they run in linear time, and derive hyperscan's prefilter from them.

Two engines are used. Hyperscan finds the few lines of a block that may match; `re` decides and extracts the fields. Hyperscan gets a
cheaper expression that matches whenever the full one does: no captures, no optional ends, no anchors to the message (it matches whole
lines, header included). Both match bytes: `\d`, `\w` and `(?i)` are ASCII.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

_sre: Any = importlib.import_module("re._parser")  # private, but the only parser that reads exactly what `re` reads
_LONG = 32  # a repeat with a higher bound is treated as unbounded: hyperscan unrolls bounds, and nesting them costs `re` as much
_MOST_COPIES = (
    4096  # of one part by bounded repeats inside each other, `((a{9}){9}){9}`: both engines and the check for speed write them out
)
_CLASSES = {"DIGIT": "0-9", "SPACE": r" \t\r\f\v", "WORD": "0-9A-Za-z_"}  # of a line: it holds no newline
LINE_END = r"[ \t\r\]]*$"  # `$` of a message: the line may go on with CR, or with the bracket of "message repeated"

Node = tuple[Any, Any]


class BadPattern(ValueError):  # noqa: N818 — the user's mistake, like BadInput
    """The expression is not safe to run on every line; the text is the reason."""


@functools.lru_cache(512)
def prefilter(pattern: str) -> str:
    """Return the expression for hyperscan. It matches each line on which `pattern` matches, and a few more.

    Raises `BadPattern` for syntax errors, for what has no linear-time form (look-around, references, nested repeats), and for
    expressions that match everything.
    """
    tree = parse(pattern)
    _refuse_nested(tree, inside=False)
    _refuse_copies(tree, 1)
    if not (trimmed := _trim(_trim(list(tree), -1), 0)):
        raise BadPattern("matches every line; expected some fixed text")
    return ("(?i)" if tree.state.flags & 2 else "") + _write(trimmed)


def parse(pattern: str) -> Any:  # noqa: ANN401 — the tree of a module without types
    """Parse an expression as `re` does. Raises `BadPattern`."""
    try:
        return _sre.parse(pattern.encode())
    except (ValueError, OverflowError, RecursionError, _sre.error) as error:
        raise BadPattern(f"is not a regular expression: {error}") from None


def opcode(node: Node) -> str:
    """Return a node's opcode: LITERAL, IN, MAX_REPEAT, …."""
    return str(node[0])


def children(node: Node) -> list[list[Node]]:
    """Return a node's subsequences. Raises `BadPattern` for what has no linear-time form."""
    kind, value = opcode(node), node[1]
    if kind == "BRANCH":
        return [list(branch) for branch in value[1]]
    if kind == "SUBPATTERN":
        return [list(value[3])]
    if kind in {"MAX_REPEAT", "MIN_REPEAT"}:
        return [list(value[2])]
    if kind in {"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"}:
        return []
    names = {"ASSERT": "look-ahead or look-behind", "ASSERT_NOT": "look-ahead or look-behind", "GROUPREF": "a reference to a group"}
    raise BadPattern(f"uses {names.get(kind, kind.lower().replace('_', ' '))}, which cannot be searched in linear time")


def _refuse_nested(nodes: Any, *, inside: bool) -> None:  # noqa: ANN401
    """Refuse `(a+)+`: on a line that almost matches, `re` takes exponential time."""
    for node in nodes:
        repeat = opcode(node) in {"MAX_REPEAT", "MIN_REPEAT"} and int(node[1][1]) > _LONG
        if repeat and inside:
            raise BadPattern("repeats a repeat, which can take exponential time; remove one of the two")
        for child in children(node):
            _refuse_nested(child, inside=inside or repeat)


def _refuse_copies(nodes: Any, copies: int) -> None:  # noqa: ANN401
    """Refuse bounded repeats inside each other whose product is large: six levels of {32} are a gigabyte."""
    for node in nodes:
        low, high = (int(node[1][0]), int(node[1][1])) if opcode(node) in {"MAX_REPEAT", "MIN_REPEAT"} else (1, 1)
        here = copies * max(1, low, high if high <= _LONG else 1)
        if here > _MOST_COPIES:
            raise BadPattern(f"repeats a part more than {_MOST_COPIES} times; expected fewer levels or smaller bounds")
        for child in children(node):
            _refuse_copies(child, here)


def _nullable(node: Node) -> bool:
    """Return whether a node can match the empty string; anchors to the line's beginning count, since they are dropped at the ends."""
    kind, value = opcode(node), node[1]
    if kind == "AT":
        return "BEGINNING" in str(value)
    if kind in {"MAX_REPEAT", "MIN_REPEAT"} and int(value[0]) == 0:
        return True
    sequences = children(node)
    return bool(sequences) and any(all(map(_nullable, sequence)) for sequence in sequences)


def _trim(nodes: list[Node], end: int) -> list[Node]:
    """Drop optional nodes from one end (0 or -1), and reduce a repeat there to its minimum."""
    nodes = list(nodes)
    while nodes and _nullable(nodes[end]):
        nodes.pop(end)
    if nodes:
        kind, value = nodes[end]
        if opcode(nodes[end]) in {"MAX_REPEAT", "MIN_REPEAT"}:
            nodes[end] = (kind, (value[0], value[0], value[2]))
        elif opcode(nodes[end]) == "SUBPATTERN":
            nodes[end] = (kind, (*value[:3], _trim(list(value[3]), end)))
        elif opcode(nodes[end]) == "BRANCH":
            nodes[end] = (kind, (None, [_trim(list(branch), end) for branch in value[1]]))
    return nodes


def _write(nodes: list[Node]) -> str:
    return "".join(map(_write_node, nodes))


def _write_node(node: Node) -> str:  # noqa: PLR0911 — one return for each kind of node
    kind, value = opcode(node), node[1]
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
    """Return a character class in hyperscan's syntax."""
    negated = opcode(members[0]) == "NEGATE"
    parts = [r"\n"] if negated else []
    for member in members[negated:]:
        kind, value = opcode(member), member[1]
        if kind == "CATEGORY":
            category = str(value).removeprefix("CATEGORY_")
            parts.append({"NOT_DIGIT": r"\D", "NOT_SPACE": r"\S", "NOT_WORD": r"\W"}.get(category) or _CLASSES[category])
        else:
            parts.append(_byte(value) if kind == "LITERAL" else f"{_byte(value[0])}-{_byte(value[1])}")
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def _byte(code: int) -> str:
    return chr(code) if chr(code).isascii() and chr(code).isalnum() else f"\\x{code:02x}"
