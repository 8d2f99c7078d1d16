"""Saved state: types with ranges for its schemas, and its format. A bad record is dropped and counted, never the others. Pure.

A file is one JSON document, `{"version":1,"value":…}`, with one record a line: the fields of the value that hold one value first, then its
lists and mappings, an element a line. What is no JSON document as a whole (a flipped byte, a cut file) is read line by line; between two
lines there is an empty one, so that no damaged byte joins two records.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Generic, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

VERSION = 1
MAX_BYTES = 16 << 20  # far above any state that vitald writes
MAX_VALUES = 500_000  # values and lines in a file: each takes up to 100 bytes when parsed
_INT_DIGITS = 20  # of longer numbers, which fit no schema, only the magnitude is parsed: int() refuses more than 4,300 digits

UnixTime = Annotated[float, Meta(ge=0, le=4e9)]  # seconds; beyond 2096 the clock is wrong, and time.gmtime() may refuse
Seconds = Annotated[float, Meta(ge=0, le=1e10)]  # since boot; an address may be leased for 2**32 seconds
Count = Annotated[int, Meta(ge=0, le=2**62)]
Text = Annotated[str, Meta(max_length=8192)]  # PATH_MAX is 4,096


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of schemas whose fields are kept or dropped one by one; all have defaults. Any other struct or tuple is one record."""


class Decoded(NamedTuple, Generic[T]):
    """Decoded state, how many records were dropped, and why the first was."""

    value: T
    dropped: int = 0
    error: str = ""


class _Dropped:
    def __init__(self) -> None:
        self.count, self.first = 0, ""

    def add(self, reason: object, count: int = 1) -> None:
        self.count += count
        self.first = self.first or str(reason)


_BAD = object()
_HEADER = re.compile(rb'\{"version":(-?[0-9]+),"value":')
_SECTION = re.compile(rb'"([a-z_]+)":[\[{]')
_CLOSING = frozenset({b"]", b"}", b"]}", b"}}"})
_DAMAGED = (ValueError, RecursionError)  # UnicodeDecodeError, JSONDecodeError and msgspec's own errors are ValueErrors


def encode(value: Any) -> bytes:  # noqa: ANN401 — a value of any schema
    """Return the contents of a state file."""
    return b'{"version":%d,"value":%s}\n' % (VERSION, _object(value) if isinstance(value, State) else _lines(value))


def _object(state: State) -> bytes:
    """Return a struct: its lists and mappings last, so that a damaged end of one hides no other field."""
    fields = {field.encode_name: getattr(state, field.name) for field in msgspec.structs.fields(state)}
    several = {name: value for name, value in fields.items() if value and type(value) in {tuple, list, dict}}
    parts = [_dump(name) + b":" + _dump(value) for name, value in fields.items() if name not in several]
    parts += [_dump(name) + b":" + _lines(value) for name, value in several.items()]
    return b"{\n\n%s\n\n}" % b",\n\n".join(parts)


def _lines(value: Any) -> bytes:  # noqa: ANN401
    if isinstance(value, dict):
        return b"{\n\n%s\n\n}" % b",\n\n".join(_dump(name) + b":" + _dump(item) for name, item in value.items())
    if isinstance(value, list | tuple):
        return b"[\n\n%s\n\n]" % b",\n\n".join(map(_dump, value))
    return _dump(value)


def _dump(value: Any) -> bytes:  # noqa: ANN401
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a name that is not UTF-8, as os.fsdecode() returns it; json escapes it
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode()


def decode(data: bytes, schema: type[T]) -> Decoded[T]:
    """Decode the contents of a state file. Raises ValueError where nothing of it can be used."""
    if sum(map(data.count, (b",", b"[", b"{", b"\n"))) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values")
    dropped = _Dropped()
    try:
        document = _parse(data, dropped)
        value = document["value"]
        version = document["version"]
    except (*_DAMAGED, LookupError, TypeError) as error:
        dropped = _Dropped()
        value = _recover(data, schema, dropped)
        if not value:
            raise ValueError(str(error)) from None
        if not dropped.count:
            dropped.add(error)
    else:
        if version != VERSION:
            raise ValueError(f"version {version!s:.20}, expected {VERSION}")
    decoded = _convert(value, schema, dropped)
    if decoded is _BAD:
        raise ValueError(dropped.first)
    return Decoded(decoded, dropped.count, dropped.first)


def _parse(data: bytes, dropped: _Dropped) -> Any:  # noqa: ANN401
    """Parse JSON; of a repeated key the last value is kept. msgspec's own decoder refuses lone surrogates."""

    def to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            dropped.add("repeated key", len(pairs) - len(found))
        return found

    return json.loads(data.decode(), object_pairs_hook=to_dict, parse_int=_parse_int)


def _parse_int(digits: str) -> float:
    return int(digits) if len(digits) <= _INT_DIGITS else float(digits)


class _Named(NamedTuple):
    """An element of a mapping."""

    name: str
    value: Any


def _recover(data: bytes, schema: Any, dropped: _Dropped) -> Any:  # noqa: ANN401
    """Parse line by line; return a list or an object, empty where nothing was found."""
    if (header := _HEADER.match(data)) and int(header[1][:4]) != VERSION:
        return None
    if again := _HEADER.search(data, 1):
        data = data[: again.start()]
        dropped.add("repeated contents")
    lines = (line for part in data.split(b"\n")[1:] if (line := part.strip().removesuffix(b",")))
    if not _is_state(schema):
        return _join([element for line in lines if line not in _CLOSING for element in _parse_line(line, dropped)], dropped)
    return _recover_object(lines, {field.encode_name for field in msgspec.structs.fields(schema)}, dropped)


def _recover_object(lines: Iterator[bytes], names: set[str], dropped: _Dropped) -> dict[str, Any]:
    """Return the fields; elements after a damaged beginning of a list or mapping are those of the only field that is missing."""
    fields: dict[str, Any] = {}
    sections: dict[str, list[Any]] = {}
    stray: list[Any] = []
    section = stray
    for line in lines:
        if line in _CLOSING:
            section = stray
        elif (opening := _SECTION.fullmatch(line)) and (name := opening[1].decode()) in names:
            section = sections[name] = []
        else:
            for element in _parse_line(line, dropped):
                if section is stray and isinstance(element, _Named) and element.name in names - fields.keys():
                    fields[element.name] = element.value
                else:
                    section.append(element)
    missing = names - fields.keys() - sections.keys()
    if stray and len(missing) == 1:
        sections[missing.pop()] = stray
    elif stray:
        dropped.add("elements of an unknown list", len(stray))
    return fields | {name: _join(elements, dropped) for name, elements in sections.items()}


def _parse_line(line: bytes, dropped: _Dropped) -> Iterator[Any]:
    """Yield the element of a mapping or a list in a line, if there is one."""
    try:
        if line[:1] == b'"' and b":" in line:
            with contextlib.suppress(*_DAMAGED):
                ((name, value),) = _parse(b"{" + line + b"}", dropped).items()
                yield _Named(name, value)
                return
        yield _parse(line, dropped)
    except _DAMAGED as error:
        dropped.add(error)


def _join(elements: list[Any], dropped: _Dropped) -> Any:  # noqa: ANN401
    """Return the mapping or the list that most of the elements are of: its own brackets may be damaged."""
    named = [element for element in elements if isinstance(element, _Named)]
    others = [element for element in elements if not isinstance(element, _Named)]
    if surplus := min(len(named), len(others)):
        dropped.add("elements of a list in a mapping, or conversely", surplus)
    return {element.name: element.value for element in named} if len(named) > len(others) else others


def _is_state(schema: Any) -> bool:  # noqa: ANN401
    return isinstance(schema, type) and issubclass(schema, State)


def _convert(value: Any, schema: Any, dropped: _Dropped) -> Any:  # noqa: ANN401
    """Convert a value; where it does not fit, its elements one by one. Return `_BAD`, counted, for one that has none."""
    try:
        return msgspec.convert(value, schema)
    except _DAMAGED as error:
        reason = str(error)
    kind, arguments = get_origin(schema) or schema, get_args(schema)
    if _is_state(schema) and isinstance(value, dict):
        return _convert_fields(value, schema, dropped)
    if _is_state(schema) and isinstance(value, list) and schema.__struct_config__.array_like:
        names = [field.encode_name for field in msgspec.structs.fields(schema)]
        return _convert_fields(dict(zip(names, value, strict=False)), schema, dropped)
    if isinstance(value, list) and (kind is list or (kind is tuple and arguments[1:] == (...,))):
        return kind(found for item in value if (found := _convert(item, arguments[0], dropped)) is not _BAD)
    if isinstance(value, dict) and kind is dict:
        keys = ((_convert(name, arguments[0], dropped), item) for name, item in value.items())
        pairs = ((name, _convert(item, arguments[1], dropped)) for name, item in keys if name is not _BAD)
        return {name: item for name, item in pairs if item is not _BAD}
    dropped.add(reason)
    return _BAD


def _convert_fields(value: dict[str, Any], schema: type[State], dropped: _Dropped) -> State:
    """Convert a struct's fields; one whose name is damaged is the only one that is missing."""
    types = {field.encode_name: field for field in msgspec.structs.fields(schema)}
    unknown, missing = value.keys() - types.keys(), types.keys() - value.keys()
    if unknown:
        dropped.add("unknown field", len(unknown))
    if len(unknown) == len(missing) == 1:
        value = {**value, missing.pop(): value[unknown.pop()]}
    fields = {field.name: _convert(value[name], field.type, dropped) for name, field in types.items() if name in value}
    return schema(**{name: item for name, item in fields.items() if item is not _BAD})
