"""Parser of Prometheus' file_sd files: a list of groups of targets with labels, in JSON or YAML.

The format is that of Prometheus' documentation, "Configuration", `<file_sd_config>`: `[{"targets": ["host:port"], "labels": {"k": "v"}}]`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from mmap import mmap
from typing import TYPE_CHECKING, Any

import msgspec

from collectors.model import BadInput
from collectors.probe.targets.target import parse
from collectors.yaml_reader import BadYaml, iterate_yaml

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".json", ".yml", ".yaml")
MAX_FILE = 16 * 1024 * 1024  # bytes: a fleet of 10,000 with a dozen labels each is 5 MB
MAX_TARGETS = 100_000  # YAML aliases make long lists out of short files

_CONTENT = re.compile(rb"[^\s\0]")
_NEWLINE = re.compile(rb"\n")


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Targets as written, each of which can be parsed, and the labels they share."""

    targets: tuple[str, ...] = ()
    labels: dict[str, str] = {}


_decode = msgspec.json.Decoder().decode
_decode_group = msgspec.json.Decoder(Group).decode


def read(path: Path) -> tuple[Group, ...]:
    """Read and parse one file; raises BadInput (without the path) for anything that is not a file_sd file."""
    return tuple(parse_groups(path, load(path)))


def load(path: Path) -> mmap:
    """Read the bytes of a regular file of at most MAX_FILE bytes, so that no FIFO blocks and no device fills memory. Raises BadInput.

    They are in a mapping of their own, which is returned to the system whole: in malloc's heap, each large list would leave a hole.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"its name must end in {', '.join(SUFFIXES)}")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 — Path.open would wait for a FIFO's writer
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BadInput("is not a regular file")
            if status.st_size > MAX_FILE:
                raise BadInput(f"is longer than {MAX_FILE} bytes")
            data = mmap(-1, status.st_size or 1)
            if file.readinto(data) != len(data) or not _CONTENT.search(data):
                raise BadInput("is empty; no targets at all are written []" if not _CONTENT.search(data) else "is being written")
    except OSError as error:
        raise BadInput(error.strerror or str(error)) from None
    return data


def parse_groups(path: Path, data: mmap) -> Iterator[Group]:
    """Yield a file's groups one by one, so that a long list is never in memory whole; raises BadInput, also half-way through."""
    return check_groups(_json(data) if path.suffix.lower() == ".json" else _yaml(data))


def check_groups(document: Any) -> Iterator[Group]:  # noqa: ANN401 — whatever JSON or YAML can hold
    """Check a parsed document, or the items of a list; raises BadInput with the group's number and what is wrong with it."""
    if not isinstance(document, (list, Iterator)):
        raise BadInput(f"a list of groups is expected, not {_kind(document)}")
    left = MAX_TARGETS
    for number, group in enumerate(document, 1):
        try:
            checked = _group(_item(group) if isinstance(group, msgspec.Raw) else group, left)
        except BadInput as bad:
            raise BadInput(f"group {number}: {bad}") from None
        left -= len(checked.targets)
        yield checked


def _group(group: Any, left: int) -> Group:  # noqa: ANN401
    checked = group if isinstance(group, Group) else _checked(group)
    if len(checked.targets) > left:
        raise BadInput(f"targets: more than {MAX_TARGETS} in one file")
    for target in checked.targets:
        parse(target)
    return checked


def _checked(group: Any) -> Group:  # noqa: ANN401
    """Check a group of unknown shape; raises BadInput with what is wrong with it."""
    if not isinstance(group, dict):
        raise BadInput(f'a group like {{"targets": […], "labels": {{…}}}} is expected, not {_kind(group)}')
    if unknown := [key for key in group if key not in {"targets", "labels"}]:
        raise BadInput(f'unknown key {str(unknown[0])!r:.60}; a group has "targets" and "labels"')
    targets, labels = group.get("targets") or [], group.get("labels") or {}
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        raise BadInput("targets: a list of strings is expected")
    if not isinstance(labels, dict) or not all(isinstance(text, str) for pair in labels.items() for text in pair):
        raise BadInput("labels: names and values must be strings")
    return Group(tuple(targets), labels)


def _json(data: mmap) -> Any:  # noqa: ANN401
    """Split a list into its items, which are parsed one at a time."""
    try:
        return msgspec.json.decode(data, type=list[msgspec.Raw])
    except msgspec.ValidationError:
        return _plain(data)  # not a list, which the caller reports
    except msgspec.DecodeError as error:
        reason, _, at = str(error).removeprefix("JSON is malformed: ").rstrip(")").partition(" (byte ")
        line, column = _line_and_column(data, int(at) if at else len(data))
        raise BadInput(f"is not JSON: line {line} column {column}: {reason}") from None
    except RecursionError:
        raise BadInput("is not JSON that can be read: nested too deeply") from None


def _item(item: msgspec.Raw) -> Any:  # noqa: ANN401
    """Parse one item; a valid group is returned as such, checked by msgspec in less time."""
    try:
        return _decode_group(item)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _plain(item)  # so that _checked can report what is wrong with it


def _plain(item: msgspec.Raw | mmap) -> Any:  # noqa: ANN401
    try:
        return _decode(item)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"is not JSON that can be read: {error!s:.80}") from None


def _line_and_column(data: mmap, at: int) -> tuple[int, int]:
    """Return line and column of a byte, both from 1."""
    return sum(1 for _ in _NEWLINE.finditer(data, 0, at)) + 1, at - data.rfind(b"\n", 0, at)


def _yaml(data: mmap) -> Iterator[Any]:
    """Yield the items of a YAML list, with every scalar a string, as in Prometheus."""
    try:
        yield from iterate_yaml(data, "a list of groups")
    except BadYaml as bad:
        raise BadInput(f"is not YAML: line {bad.line}: {bad.reason}" if bad.line else bad.reason) from None


def _kind(value: Any) -> str:  # noqa: ANN401
    return {dict: "a mapping", str: "a string", list: "a list", type(None): "nothing"}.get(type(value), "a number")
