"""Saved state: types with ranges for its schemas, and its format. A bad record is dropped and counted, never the others. Pure.

A file is one JSON document, `{"version":1,"value":…}`, with one record a line: the fields of the value that hold one value first, then its
lists and mappings, an element a line. What is no JSON document as a whole (a flipped byte, a cut file) is read line by line.
"""

from __future__ import annotations

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
_SECTION = re.compile(rb'"([a-z_]+)":([\[{])')
_CLOSING = frozenset({b"]", b"}", b"]}", b"}}"})
_DAMAGED = (ValueError, RecursionError)  # UnicodeDecodeError, JSONDecodeError and msgspec's own errors are ValueErrors


def encode(value: Any) -> bytes:  # noqa: ANN401 — a value of any schema
    """Return the contents of a state file."""
    plain = msgspec.to_builtins(value)
    return b'{"version":%d,"value":%s}\n' % (VERSION, _object(plain) if isinstance(plain, dict) else _lines(plain))


def _object(fields: dict[str, Any]) -> bytes:
    """Return an object with its scalars first, so that a damaged end of a list or mapping hides none of them."""
    scalars = {name: value for name, value in fields.items() if not (value and isinstance(value, list | tuple | dict))}
    parts = [_dump(name) + b":" + _dump(value) for name, value in scalars.items()]
    parts += [_dump(name) + b":" + _lines(value) for name, value in fields.items() if name not in scalars]
    return b"{\n%s\n}" % b",\n".join(parts)


def _lines(value: Any) -> bytes:  # noqa: ANN401
    if isinstance(value, dict):
        return b"{\n%s\n}" % b",\n".join(_dump(name) + b":" + _dump(item) for name, item in value.items())
    if isinstance(value, list | tuple):
        return b"[\n%s\n]" % b",\n".join(map(_dump, value))
    return _dump(value)


def _dump(value: Any) -> bytes:  # noqa: ANN401
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a name that is not UTF-8, as os.fsdecode() returns it; json escapes it
        return json.dumps(value, separators=(",", ":")).encode()


def decode(data: bytes, schema: type[T]) -> Decoded[T]:
    """Decode the contents of a state file. Raises ValueError where nothing of it can be used."""
    if sum(map(data.count, (b",", b"[", b"{", b"\n"))) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values")
    dropped = _Dropped()
    try:
        document = _parse(data, dropped)
    except _DAMAGED as error:
        dropped = _Dropped()
        value = _recover(data, schema, dropped)
        if not value:
            raise ValueError(str(error)) from None
        if not dropped.count:
            dropped.add(error)
    else:
        if not isinstance(document, dict) or document.get("version") != VERSION:
            found = document.get("version") if isinstance(document, dict) else None
            raise ValueError(f"version {found!s:.20}, expected {VERSION}")
        value = document.get("value")
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


def _recover(data: bytes, schema: Any, dropped: _Dropped) -> Any:  # noqa: ANN401
    """Parse line by line; return a list or an object, empty where nothing was found."""
    if (header := _HEADER.match(data)) and int(header[1][:4]) != VERSION:
        return None
    if again := _HEADER.search(data, 1):
        data = data[: again.start()]
        dropped.add("repeated contents")
    lines = (line.strip().removesuffix(b",") for line in data.split(b"\n")[1:])
    if not _is_state(schema):
        return list(_elements(lines, dropped))
    return _recover_object(lines, {field.encode_name for field in msgspec.structs.fields(schema)}, dropped)


def _elements(lines: Iterator[bytes], dropped: _Dropped) -> Iterator[Any]:
    for line in lines:
        if line and line not in _CLOSING:
            try:
                yield _parse(line, dropped)
            except _DAMAGED as error:
                dropped.add(error)


def _recover_object(lines: Iterator[bytes], names: set[str], dropped: _Dropped) -> dict[str, Any]:
    """Return the fields; elements after a damaged beginning of a list or mapping are those of the only field that is missing."""
    fields: dict[str, Any] = {}
    stray: list[Any] = []
    section: list[Any] | dict[str, Any] | None = None
    for line in lines:
        if not line or line in _CLOSING:
            section = None
        elif (opening := _SECTION.fullmatch(line)) and (name := opening[1].decode()) in names:
            section = fields[name] = [] if opening[2] == b"[" else {}
        else:
            try:
                element = _parse_element(line, dropped, named=not isinstance(section, list))
            except _DAMAGED as error:
                dropped.add(error)
                continue
            if isinstance(section, list):
                section.append(element)
            elif section is not None:
                section.update(element)
            elif isinstance(element, dict) and element.keys() <= names:
                fields.update(element)
            else:
                stray.append(element)
    missing = names - fields.keys()
    if stray and len(missing) == 1:
        is_mapping = all(isinstance(element, dict) and len(element) == 1 for element in stray)
        fields[missing.pop()] = {name: item for element in stray for name, item in element.items()} if is_mapping else stray
    elif stray:
        dropped.add("elements of an unknown list", len(stray))
    return fields


def _parse_element(line: bytes, dropped: _Dropped, *, named: bool) -> Any:  # noqa: ANN401
    """Parse an element; `named` ones have a key. An element of a list whose beginning is damaged has none."""
    if not named or line[:1] in {b"[", b"{"}:
        return _parse(line, dropped)
    return _parse(b"{" + line + b"}", dropped)


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
