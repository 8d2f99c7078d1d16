"""YAML of other programs, read in bounds: strings, lists and mappings from libyaml's events, never by its recursive composer.

PyYAML's C composer calls itself for each level, so 100 KB of `[` overflow the C stack and end the process, which no handler sees. The event
parser below it is a state machine. Three things are bounded here before they cost anything: levels (each open flow level is looked at again
for every token), nodes (an alias counts as often as what it stands for, so ten short lines cannot make a billion), and %TAG directives
(libyaml compares each with all others, in one call that holds the interpreter's lock: a megabyte takes minutes).
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap

MAX_DEPTH = 32  # levels: the formats read here have four
MAX_NODES = 2_000_000  # strings, lists and mappings: a fleet of 50,000 hosts with a dozen labels each has 1.5 million

_TAG_DIRECTIVE = re.compile(rb"(?:^|[\r\n])%TAG")


class BadYaml(ValueError):  # noqa: N818 — the user's mistake, like BadInput
    """Not YAML, or YAML beyond the bounds: `reason`, and the `line` from 1, or 0 where it is unknown."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


class _Open(NamedTuple):
    """A list or mapping that is not complete: items (of a mapping keys and values in turn), anchor, number of its first node, line."""

    items: list[Any]
    anchor: str | None
    is_mapping: bool
    first: int
    line: int


class _Anchored(NamedTuple):
    value: Any
    nodes: int


def read_yaml(data: bytes | mmap, *, unique_keys: bool = False) -> Any:  # noqa: ANN401 — what YAML can hold
    """Parse one document in UTF-8 into strings, lists and dictionaries, None for an empty one. Raises BadYaml.

    Every scalar is a string, so 10:22 is no sexagesimal number and `no` no boolean, and no tag makes an object. `unique_keys` refuses a key
    that is given twice in a mapping, of which the last one would win.
    """
    builder = _Builder(unique_keys=unique_keys)
    for event in _events(data):
        builder.add(event)
    return builder.root


def iterate_yaml(data: bytes | mmap, expected: str) -> Iterator[Any]:
    """Yield the items of a document that is a list, one by one, so that a long list is never in memory whole.

    Raises BadYaml, also half-way through; `expected` describes the list in the error for another kind of document.
    """
    builder = _Builder()
    for event in _events(data):
        builder.add(event)
        yield from builder.take_items()
    if not isinstance(builder.root, list):
        kind = "a mapping" if isinstance(builder.root, dict) else "a string" if builder.root else "nothing"
        raise BadYaml(f"{expected} is expected, not {kind}")


def _events(data: bytes | mmap) -> Iterator[Any]:
    """Yield PyYAML's events. Raises BadYaml."""
    import yaml  # noqa: PLC0415 — 2.8 MB, for hosts with such files only

    if _TAG_DIRECTIVE.search(data):
        raise BadYaml("a %TAG directive is not supported")
    parser: Any = None
    try:
        text = str(data, "utf-8")
        parser = getattr(yaml, "CBaseLoader", yaml.BaseLoader)(text)
        while parser.check_event():
            yield parser.get_event()
    except UnicodeDecodeError as error:
        raise BadYaml(f"is not UTF-8 at byte {error.start}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadYaml(str(error.problem or error.context), min(mark.line, text.count("\n")) + 1 if mark else 0) from None
    except yaml.YAMLError as error:
        raise BadYaml(f"is not YAML: {' '.join(str(error).split()):.120}") from None
    finally:
        if parser is not None:
            parser.dispose()


class _Builder:
    """Builds one document from events, with a stack of its own."""

    def __init__(self, *, unique_keys: bool = False) -> None:
        self._unique_keys = unique_keys
        self._open: list[_Open] = []
        self._anchored: dict[str, _Anchored] = {}
        self._nodes = 0
        self._documents = 0
        self.root: Any = None

    def add(self, event: Any) -> None:  # noqa: ANN401 — PyYAML's own
        """Add the next event. Raises BadYaml."""
        try:
            self._dispatch(event)
        except BadYaml as bad:
            bad.line = bad.line or event.start_mark.line + 1
            raise

    def take_items(self) -> list[Any]:
        """Return the complete items of an outermost list, and forget them."""
        if len(self._open) != 1 or self._open[0].is_mapping or not self._open[0].items:
            return []
        items = self._open[0].items[:]
        self._open[0].items.clear()
        return items

    def _dispatch(self, event: Any) -> None:  # noqa: ANN401
        kind = type(event).__name__
        if kind == "ScalarEvent":
            self._count(1)
            self._add(event.value, event.anchor, 1)
        elif kind == "AliasEvent":
            if (anchored := self._anchored.get(event.anchor)) is None:
                raise BadYaml(f"alias {event.anchor!r:.60} stands for nothing that is complete before it")
            self._count(anchored.nodes)
            self._add(anchored.value, None, anchored.nodes)
        elif kind in {"SequenceStartEvent", "MappingStartEvent"}:
            if len(self._open) >= MAX_DEPTH:
                raise BadYaml(f"nested deeper than {MAX_DEPTH} levels")
            self._count(1)
            self._open.append(_Open([], event.anchor, kind == "MappingStartEvent", self._nodes, event.start_mark.line + 1))
        elif kind in {"SequenceEndEvent", "MappingEndEvent"}:
            ended = self._open.pop()
            value = self._mapping(ended) if ended.is_mapping else ended.items
            self._add(value, ended.anchor, self._nodes - ended.first + 1)
        elif kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                raise BadYaml("a second document begins; one is expected")

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise BadYaml(f"more than {MAX_NODES} strings, lists and mappings, each alias counted as what it stands for")

    def _add(self, value: Any, anchor: str | None, nodes: int) -> None:  # noqa: ANN401
        if anchor is not None:
            self._anchored[anchor] = _Anchored(value, nodes)
        if not self._open:
            self.root = value
            return
        parent = self._open[-1]
        if parent.is_mapping and len(parent.items) % 2 == 0 and not isinstance(value, str):
            raise BadYaml("a list or a mapping is used as a key; a string is expected")
        parent.items.append(value)

    def _mapping(self, ended: _Open) -> dict[str, Any]:
        keys, values = ended.items[::2], ended.items[1::2]
        mapping: dict[str, Any] = dict(zip(keys, values, strict=True))
        if self._unique_keys and len(mapping) != len(keys):
            twice = next(key for key, following in pairwise(sorted(keys)) if key == following)
            raise BadYaml(f"{twice[:80]!r} is given twice; expected one of them", ended.line)
        return mapping
