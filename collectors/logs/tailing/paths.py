"""Expansion of paths and globs to the files to follow, without rotated copies of files that are followed themselves."""

from __future__ import annotations

import glob
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_COMPRESSED_SUFFIXES = (".gz", ".xz", ".bz2", ".zst", ".lz4")
_ROTATED = r"(?:[.-](?:[0-9]{1,14}(?:[-_T.:][0-9]{1,14}){0,6}|old|bak|prev))"  # syslog.1, syslog-20260101, syslog.old
_ROTATED_INSIDE = r"(?:\.[0-9]{1,3}|[.-][0-9]{6,14}(?:[-_T.:][0-9]{1,14}){0,6})"  # app.1.log, app-20260101.log; app-2.log is another app


def rotated_name_pattern(base: str, *, compressed: bool = False) -> re.Pattern[str]:
    """Return the pattern of a rotated file's names (logrotate(8): dateext, extension; compressext if `compressed`)."""
    stem, extension = os.path.splitext(base)  # noqa: PTH122 — a name, not a path
    inside = f"|{re.escape(stem)}{_ROTATED_INSIDE}{re.escape(extension)}" if extension else ""
    suffix = f"(?:{'|'.join(map(re.escape, _COMPRESSED_SUFFIXES))})" if compressed else ""
    return re.compile(f"(?:{re.escape(base)}{_ROTATED}{inside}){suffix}")


def expand(patterns: Iterable[str]) -> list[str]:
    """Return the files that paths and globs match now, each once; a path without wildcards also where there is no such file."""
    found: dict[str, None] = {}
    globbed: dict[str, None] = {}
    for pattern in patterns:
        if glob.has_magic(pattern):
            globbed.update(dict.fromkeys(sorted(glob.glob(pattern))))  # noqa: PTH207 — strings, not Paths
        else:
            found[pattern] = None
    names: dict[str, set[str]] = {}
    for path in (*found, *globbed):
        names.setdefault(os.path.dirname(path), set()).add(os.path.basename(path))  # noqa: PTH119, PTH120
    found.update(dict.fromkeys(path for path in globbed if not _is_rotated_copy(path, names)))
    return _distinct(found)


def _is_rotated_copy(path: str, names: dict[str, set[str]]) -> bool:
    folder, name = os.path.split(path)
    if name.endswith(_COMPRESSED_SUFFIXES):
        return True
    return any(base in names[folder] and rotated_name_pattern(base).fullmatch(name) for base in _original_names(name))


def _original_names(name: str) -> set[str]:
    """Return the names a rotated file may have had before."""
    inside = re.sub(rf"{_ROTATED_INSIDE}(?=\.[^.]*$)", "", name)
    return {re.sub(f"{_ROTATED}$", "", name), inside} - {name}


def _distinct(paths: Iterable[str]) -> list[str]:
    """Drop a path that resolves to the same file as one before it."""
    by_target: dict[str, str] = {}
    for path in paths:
        by_target.setdefault(os.path.realpath(path), path)
    return list(by_target.values())


def path_matches(path: str, patterns: Sequence[str]) -> bool:
    """Return whether a path matches one of the paths and globs, as `expand` does."""
    return any(path == pattern or _glob_to_regex(pattern).fullmatch(path) for pattern in patterns)


def _glob_to_regex(pattern: str) -> re.Pattern[str]:
    """Translate a glob whose `*` does not match a slash (glob(7))."""
    parts = []
    for part in re.split(r"(\*\*?|\?|\[!?[^\]]+\])", pattern):
        if part.startswith("["):
            parts.append(part.replace("[!", "[^", 1))
        else:
            parts.append({"*": "[^/]*", "**": "[^/]*", "?": "[^/]"}.get(part) or re.escape(part))
    return re.compile("".join(parts))
