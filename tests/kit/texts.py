"""Texts of verdicts: nothing that is unknown is printed, no slot of a template is empty."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from collectors.text import is_unknown

if TYPE_CHECKING:
    from collectors.model import Verdict

# two spaces, two commas, a space before a comma, an empty pair of brackets or quotes, a text that begins or ends with a separator,
# a preposition without its object
_GAP = re.compile(
    r"  |, ?,|;\s*;|:[;,]|: [:;,]| [,;:]| \.(?![.\w])|\(\s*\)|''|\"\"|^[\s,;:]|[\s,;:]$|\b(?:from|on|at|is|of|after|since) (?:[,;)]|$)"
)
_NOTHING = re.compile(r"\b(?:None|nan|null)\b|\bunknown [,;]")


def assert_complete(verdict: Verdict) -> None:
    """Assert that message and remediation have no gap, and that evidence states no unknown fact."""
    for text in (verdict.message, verdict.remediation):
        assert not (found := _GAP.search(text) or _NOTHING.search(text)), f"{found!r} in {text!r}"
    assert verdict.subject
    _assert_known(verdict.check, verdict.evidence)


def _assert_known(path: str, value: Any) -> None:
    assert not is_unknown(value) or value == {}, f"{path} is {value!r}"
    if isinstance(value, dict):
        for name, inner in value.items():
            assert not is_unknown(inner), f"{path}.{name} is {inner!r}"
            _assert_known(f"{path}.{name}", inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _assert_known(path, inner)
    elif isinstance(value, str):
        assert not _NOTHING.search(value), f"{path} is {value!r}"
