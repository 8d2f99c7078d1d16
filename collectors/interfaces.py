"""Interface-name patterns of settings (`ignore`, `[[nic.policy]]`)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Return whether an interface's name matches one of the shell patterns; case counts, as it does for the kernel."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
