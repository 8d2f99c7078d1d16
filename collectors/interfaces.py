"""Interface-name patterns of settings (`ignore`, `[[nic.policy]]`)."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Return whether an interface's name matches one of the shell patterns; case counts, as it does for the kernel."""
    return any(_compiled(pattern).match(name) for pattern in patterns)
