"""Files of a web config: read within bounds, never from a device, with their stamps, so that a change is detected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.files import read_regular, stamp_of
from collectors.model import BadInput

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.files import Stamp

_LIMIT = 1 << 20  # bytes; a file of certificates is a few kilobytes


def invalid(path: Path, key: str, reason: str) -> BadInput:
    """Return the error of one line: file, key, what is wrong and what was expected."""
    return BadInput(": ".join(part for part in (str(path), key, reason) if part))


class WebConfigReader:
    """Reads the files of one web config; `stamps` has the path and the stamp of each that was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stamps: list[tuple[str, Stamp]] = []

    def invalid(self, key: str, reason: str) -> BadInput:
        """Return the error of a key of this file."""
        return invalid(self.path, key, reason)

    def content(self, path: Path, key: str = "") -> bytes:
        """Return a file's bytes; BadInput if it is no regular file, cannot be read, or is larger than 1 MiB."""
        name = str(path) if key else ""
        try:
            status = path.stat()  # before it is read, so that a change meanwhile is detected
            content = read_regular(path, _LIMIT + 1)
        except OSError as error:
            raise self._unreadable(key, name, f"{error.strerror}; expected a file that vitald's user may read") from None
        except ValueError:
            raise self._unreadable(key, repr(name), "not a file name; expected a path") from None
        if len(content) > _LIMIT:
            raise self._unreadable(key, name, "too large; expected at most 1 MiB")
        self.stamps.append((str(path), stamp_of(status)))
        return content

    def _unreadable(self, key: str, name: str, reason: str) -> BadInput:
        return self.invalid(key, f"{name}: {reason}" if name else reason)

    def tree(self) -> dict[Any, Any]:
        """Parse the file as YAML into strings, lists and dicts. A duplicate key is an error: the last one would win silently."""
        import yaml  # noqa: PLC0415 — 2.8 MB, paid only where there is such a file

        class Loader(yaml.BaseLoader):  # every scalar a string: a user named `no` is no boolean, and no number overflows
            def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 — theirs
                keys = [self.construct_object(key, deep=True) for key, _ in node.value]
                for key in keys:
                    if keys.count(key) > 1:
                        problem = f"{str(key)[:80]!r} is given twice; expected one of them"
                        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
                return super().construct_mapping(node, deep=deep)

        content = self.content(self.path)
        try:
            tree = yaml.load(content, Loader) or {}  # noqa: S506 — a BaseLoader makes nothing but strings, lists and dicts
        except yaml.MarkedYAMLError as error:
            line = f"line {error.problem_mark.line + 1}" if error.problem_mark else ""
            raise self.invalid(line, str(error.problem)) from None
        except (yaml.YAMLError, UnicodeError, RecursionError) as error:
            raise self.invalid("not YAML", " ".join(str(error).split())[:200]) from None
        if not isinstance(tree, dict):
            raise self.invalid("", "not a mapping; expected sections such as tls_server_config:")
        return tree
