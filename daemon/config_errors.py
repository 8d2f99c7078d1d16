"""All errors of a settings file: what msgspec refuses is described, removed, and the rest is converted again. Pure."""

from __future__ import annotations

import copy
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import msgspec

from collectors.settings import decode_hook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

RENAMED = {"every": "interval", "syn_every": "syn_interval", "look_every": "full_scan_interval", "reach": "max_extrapolation"}
MAX_ERRORS = 50  # after that many, the file is another program's
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|(\[\.\.\.\])")

Struct = type[msgspec.Struct]
Location = tuple[str | int, ...]


class _Errors:
    """The errors of one document. List items that were removed are counted, so that later ones keep their index in messages."""

    def __init__(self, found: Mapping[str, Any], struct: Struct, keys: Callable[[Any], list[str]]) -> None:
        self._keys = keys
        self._rest: dict[str, Any] = copy.deepcopy(dict(found))
        self._struct = struct
        self._removed: dict[Location, list[int]] = {}
        self._removed_keys: dict[Location, set[str]] = {}

    def all(self) -> Iterator[str]:
        """Yield each error once."""
        for _ in range(MAX_ERRORS):
            try:
                msgspec.convert(self._rest, self._struct, dec_hook=decode_hook)
            except msgspec.ValidationError as error:
                what, _, path = str(error).partition(" - at `$")
                yield from self._handle(what, _place(path.rstrip("`")))
            else:
                return

    def _handle(self, what: str, place: Location) -> Iterator[str]:
        """Yield what is wrong at a place, and remove that."""
        shown = self._shown(place)
        if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", what):
            yield _unknown(shown, unknown[1], self._struct, self._keys)
            self._remove((*place, unknown[1]))
        elif (own := re.match(r"(\w+): (.*)", what, re.DOTALL)) and not what.startswith("Expected"):
            yield from self._own(own[1], own[2], place)
        elif len(place) <= 1 and not isinstance(self._value(place), dict):
            yield f"{shown or 'top level'}: not a section; expected [{shown or 'SECTION'}]"
            self._remove(place)
        else:
            yield f"{shown}: {what[0].lower()}{what[1:]}{_choices(what, place, self._struct)}"
            self._remove(place)

    def _own(self, key: str, what: str, place: Location) -> Iterator[str]:
        """Yield an error of a struct's own checks, which begins with the key; for a list, that of each wrong item."""
        known = self._value((*place, key))
        is_caused_by_removal = any(re.search(rf"\b{other}\b", what) for other in self._removed_keys.get(place, ()))
        if isinstance(known, list) and len(known) > 1:
            alone = ((index, self._error_with((*place, key), [item], key)) for index, item in enumerate(known))
            wrong = dict(islice(((index, error) for index, error in alone if error), MAX_ERRORS))
            yield from (f"{self._shown(place)}.{key}: {error}" for error in dict.fromkeys(wrong.values()))
            for index in sorted(wrong, reverse=True):
                self._remove((*place, key, index))
            if wrong:
                return
        if not is_caused_by_removal:
            yield f"{self._shown(place)}.{key}: {what}"
        self._remove((*place, key))

    def _error_with(self, place: Location, value: Any, key: str) -> str:  # noqa: ANN401 — any TOML value
        """Return the error of this key with another value in place of its own."""
        at = self._value(place[:-1])
        own, at[place[-1]] = at[place[-1]], value  # and back: a copy of the document for each item would take hours for 100,000
        try:
            msgspec.convert(self._rest, self._struct, dec_hook=decode_hook)
        except msgspec.ValidationError as error:
            what = str(error).partition(" - at `$")[0]
            return what.removeprefix(f"{key}: ") if what.startswith(f"{key}: ") else ""
        finally:
            at[place[-1]] = own
        return ""

    def _value(self, place: Location) -> Any:  # noqa: ANN401
        """Return the value at a place; None if there is none."""
        at: Any = self._rest
        for step in place:
            try:
                at = at[step]
            except (LookupError, TypeError):
                return None
        return at

    def _remove(self, place: Location) -> None:
        """Remove what is at a place; the container of what is not there, since something in it is wrong."""
        parent = self._value(place[:-1])
        step = place[-1] if place else ""
        if isinstance(parent, dict) and step in parent:
            del parent[step]
            self._removed_keys.setdefault(place[:-1], set()).add(str(step))
        elif isinstance(parent, list) and isinstance(step, int) and step < len(parent):
            self._removed.setdefault(place[:-1], []).append(self._original(place[:-1], step))
            del parent[step]
        elif place:
            self._remove(place[:-1])
        else:
            self._rest = {}

    def _original(self, place: Location, index: int) -> int:
        """Return the index that a list item has in the file."""
        for removed in sorted(self._removed.get(place, ())):
            index += removed <= index
        return index

    def _shown(self, place: Location) -> str:
        """Return a place as it is written: `nic.policy[0].mtu`."""
        text = ""
        for number, step in enumerate(place):
            text += f"[{self._original(place[:number], step)}]" if isinstance(step, int) else f".{step}"
        return text.removeprefix(".")


def errors(found: Mapping[str, Any], struct: Struct, keys: Callable[[Any], list[str]]) -> list[str]:
    """Return what is wrong with a document, `KEY: what is wrong; expected …` each, at least one.

    `keys` returns the keys of a struct that a file may have.
    """
    all_errors = _Errors(found, struct, keys).all()
    return list(dict.fromkeys(islice(all_errors, MAX_ERRORS))) or ["top level: not valid; expected sections of keys"]


def _place(path: str) -> Location:
    """Parse msgspec's path; a value of a dictionary, `[...]`, counts as the dictionary."""
    place: list[str | int] = []
    for match in _STEP.finditer(path):
        if match[3]:
            break
        place.append(int(match[2]) if match[2] else match[1])
    return tuple(place)


def _unknown(section: str, key: str, struct: Any, keys: Callable[[Any], list[str]]) -> str:  # noqa: ANN401
    from difflib import get_close_matches  # noqa: PLC0415 — needed for typing errors only

    parts = re.sub(r"\[\d+\]", "", section).split(".") if section else []
    for part in parts:
        struct = _item_type({field.name: field.type for field in msgspec.structs.fields(struct)}[part])
    names = keys(struct)
    if RENAMED.get(key) in names:
        return f"{section}.{key}: renamed to {RENAMED[key]}"
    meant = get_close_matches(key, names, n=1)
    expected = f"did you mean {meant[0]}?" if meant else f"expected one of {', '.join(names)}"
    return f"{section + '.' if section else ''}{key}: unknown {'key' if section else 'section'}; {expected}"


def _choices(what: str, place: Location, struct: Any) -> str:  # noqa: ANN401
    """Return the choices of a key that has a closed set of values."""
    if not what.startswith("Invalid enum value"):
        return ""
    kind: Any = struct
    for step in (step for step in place if isinstance(step, str)):
        kind = {field.name: field.type for field in msgspec.structs.fields(_item_type(kind))}.get(step)
    return f"; expected one of {', '.join(map(str, get_args(kind)))}" if get_origin(kind) is Literal else ""


def _item_type(kind: Any) -> Any:  # noqa: ANN401 — a type, or a generic alias
    """Return the struct inside `tuple[Struct, ...]` and the like."""
    args = [arg for arg in getattr(kind, "__args__", ()) if isinstance(arg, type) and issubclass(arg, msgspec.Struct)]
    return args[-1] if args else kind
