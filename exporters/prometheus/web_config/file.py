"""Files of a web config: read within bounds, never from a device, with their stamps, so that a change is detected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.files import read_regular, stamp_of
from collectors.model import BadInput
from collectors.yaml_reader import BadYaml, read_yaml

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
        try:
            tree = read_yaml(self.content(self.path), unique_keys=True) or {}
        except BadYaml as bad:
            raise self.invalid(f"line {bad.line}" if bad.line else "", bad.reason) from None
        if not isinstance(tree, dict):
            raise self.invalid("", "not a mapping; expected sections such as tls_server_config:")
        return tree
