"""Which files are followed: paths and globs, without the rotated copies of what is followed anyway."""

from __future__ import annotations

import glob
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".lz4")
_ROTATED = r"(?:[.-](?:[0-9]{1,14}(?:[-_T.:][0-9]{1,14}){0,6}|old|bak|prev))"  # syslog.1, syslog-20260101, syslog.old
_ROTATED_INSIDE = r"(?:\.[0-9]{1,3}|[.-][0-9]{6,14}(?:[-_T.:][0-9]{1,14}){0,6})"  # app.1.log, app-20260101.log; app-2.log is another app


def rotated(base: str, *, packed: bool = False) -> re.Pattern[str]:
    """Give the pattern of the names that rotation makes of a file's name (logrotate(8): dateext, extension, compressext if `packed`)."""
    stem, extension = os.path.splitext(base)  # noqa: PTH122 — a name, not a path
    inside = f"|{re.escape(stem)}{_ROTATED_INSIDE}{re.escape(extension)}" if extension else ""
    suffix = f"(?:{'|'.join(map(re.escape, COMPRESSED))})" if packed else ""
    return re.compile(f"(?:{re.escape(base)}{_ROTATED}{inside}){suffix}")


def expand(patterns: Iterable[str]) -> list[str]:
    """Give the files that paths and globs name now, each once. A path without wildcards is one also where there is no such file."""
    found: dict[str, None] = {}
    globbed: dict[str, None] = {}
    for pattern in patterns:
        if glob.has_magic(pattern):
            globbed.update(dict.fromkeys(sorted(glob.glob(pattern))))  # noqa: PTH207 — texts are what is wanted
        else:
            found[pattern] = None
    names: dict[str, set[str]] = {}
    for path in (*found, *globbed):
        names.setdefault(os.path.dirname(path), set()).add(os.path.basename(path))  # noqa: PTH119, PTH120
    found.update(dict.fromkeys(path for path in globbed if not _is_copy(path, names)))
    return _distinct(found)


def _is_copy(path: str, names: dict[str, set[str]]) -> bool:
    folder, name = os.path.split(path)
    if name.endswith(COMPRESSED):
        return True
    return any(base in names[folder] and rotated(base).fullmatch(name) for base in _bases(name))


def _bases(name: str) -> set[str]:
    """Guess what a rotated file was called before."""
    inside = re.sub(rf"{_ROTATED_INSIDE}(?=\.[^.]*$)", "", name)
    return {re.sub(f"{_ROTATED}$", "", name), inside} - {name}


def _distinct(paths: Iterable[str]) -> list[str]:
    """Drop a path that is another name for one before it."""
    by_target: dict[str, str] = {}
    for path in paths:
        by_target.setdefault(os.path.realpath(path), path)
    return list(by_target.values())


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Say whether a path is one of those that patterns name, as `expand` sees it."""
    return any(path == pattern or _as_expression(pattern).fullmatch(path) for pattern in patterns)


def _as_expression(pattern: str) -> re.Pattern[str]:
    """Translate a glob whose `*` does not cross a slash, as glob(7) has it."""
    parts = []
    for part in re.split(r"(\*\*?|\?|\[!?[^\]]+\])", pattern):
        if part.startswith("["):
            parts.append(part.replace("[!", "[^", 1))
        else:
            parts.append({"*": "[^/]*", "**": "[^/]*", "?": "[^/]"}.get(part) or re.escape(part))
    return re.compile("".join(parts))
