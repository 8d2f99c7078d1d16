"""Prometheus' file_sd: a list of groups of targets with labels, in JSON or YAML.

The format is that of Prometheus' documentation, "Configuration", `<file_sd_config>`: `[{"targets": ["host:port"], "labels": {"k": "v"}}]`.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from collectors.model import BadInput
from collectors.probe.targets import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIXES = (".json", ".yml", ".yaml")
LONGEST_FILE = 16 * 1024 * 1024  # bytes: a fleet of 10,000 with a dozen labels each is 5 MB
MOST_TARGETS = 100_000  # YAML's aliases make long lists out of short files

_decode = msgspec.json.Decoder().decode


class Group(NamedTuple):
    """Targets as written, each of which can be parsed, and the labels they share."""

    targets: tuple[str, ...]
    labels: dict[str, str]


def read(path: Path) -> tuple[Group, ...]:
    """Read one file whole; raises BadInput (without the path) for anything that is not a file_sd file."""
    return tuple(each(path, load(path)))


def load(path: Path) -> bytes:
    """Read the bytes of a regular file of a sane size: a FIFO must not hang us, a device must not fill us. Raises BadInput."""
    if path.suffix.lower() not in SUFFIXES:
        msg = f"its name must end in {', '.join(SUFFIXES)}"
        raise BadInput(msg)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with open(descriptor, "rb") as file:  # noqa: PTH123 — Path.open would wait for a FIFO's writer
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BadInput("is not a regular file")
            data = file.read(LONGEST_FILE + 1)
    except OSError as error:
        raise BadInput(error.strerror or str(error)) from None
    if len(data) > LONGEST_FILE:
        msg = f"is longer than {LONGEST_FILE} bytes"
        raise BadInput(msg)
    if not data.strip():
        raise BadInput("is empty; no targets at all are written []")
    return data


def each(path: Path, data: bytes) -> Iterator[Group]:
    """Give a file's groups one by one, so that a long list is never in memory whole; raises BadInput, also half-way through."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        msg = f"is not UTF-8 at byte {error.start}"
        raise BadInput(msg) from None
    if path.suffix.lower() != ".json":
        return groups(_yaml(text))
    del text
    return groups(_json(data))


def groups(document: Any) -> Iterator[Group]:  # noqa: ANN401 — whatever JSON or YAML can hold
    """Check a parsed document; raises BadInput, which names the group and what is wrong with it."""
    if not isinstance(document, list | Generator):
        msg = f"a list of groups is expected, not {_kind(document)}"
        raise BadInput(msg)
    left = MOST_TARGETS
    for number, group in enumerate(document, 1):
        try:
            found = _group(group, left)
        except BadInput as bad:
            msg = f"group {number}: {bad}"
            raise BadInput(msg) from None
        left -= len(found.targets)
        yield found


def _group(group: Any, left: int) -> Group:  # noqa: ANN401
    if not isinstance(group, dict):
        msg = f'a group like {{"targets": […], "labels": {{…}}}} is expected, not {_kind(group)}'
        raise BadInput(msg)
    unknown = [key for key in group if key not in {"targets", "labels"}]
    if unknown:
        msg = f'unknown key {str(unknown[0])!r:.60}; a group has "targets" and "labels"'
        raise BadInput(msg)
    targets, labels = group.get("targets") or [], group.get("labels") or {}
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        raise BadInput("targets: a list of strings is expected")
    if len(targets) > left:
        msg = f"targets: more than {MOST_TARGETS} in one file"
        raise BadInput(msg)
    if not isinstance(labels, dict) or not all(isinstance(word, str) for pair in labels.items() for word in pair):
        raise BadInput("labels: names and values must be strings")
    for target in targets:
        parse(target)
    return Group(tuple(targets), labels)


def _json(data: bytes) -> Any:  # noqa: ANN401
    """Parse a list's items one at a time; what msgspec does not take is read again by json, which names line and column."""
    try:
        items = msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return _whole(data)
    return (_item(item, data) for item in items)


def _item(item: msgspec.Raw, data: bytes) -> Any:  # noqa: ANN401
    try:
        return _decode(item)
    except (msgspec.MsgspecError, RecursionError):
        _whole(data)
        return json.loads(bytes(item))


def _whole(data: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(data.decode())
    except json.JSONDecodeError as error:
        msg = f"is not JSON: line {error.lineno} column {error.colno}: {error.msg}"
        raise BadInput(msg) from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits; 100,000 open brackets
        msg = f"is not JSON we read: {error!s:.80}"
        raise BadInput(msg) from None


def _yaml(text: str) -> Any:  # noqa: ANN401
    """Parse YAML with every scalar a string, as Prometheus takes it: 10:22 is no sexagesimal number here, and no tag makes an object."""
    import yaml  # noqa: PLC0415 — 2.8 MB that only hosts with YAML files pay

    try:
        return yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506 — BaseLoader is safer than SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        msg = f"is not YAML: line {mark.line + 1 if mark else '?'}: {error.problem or error.context}"
        raise BadInput(msg) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        msg = f"is not YAML: {' '.join(str(error).split()):.120}"
        raise BadInput(msg) from None


def _kind(value: Any) -> str:  # noqa: ANN401
    return {dict: "a mapping", str: "a string", list: "a list", type(None): "nothing"}.get(type(value), "a number")
