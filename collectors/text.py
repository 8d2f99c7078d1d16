"""Formatting of times, durations and untrusted text for verdicts, log, status page and terminal. Pure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_RAW_BYTE = range(0xDC80, 0xDD00)  # PEP 383: how os.fsdecode() maps a byte that is no UTF-8
DISPLAY = "%Y-%m-%d %H:%M:%S UTC"
ISO = "%Y-%m-%dT%H:%M:%SZ"
_Units = tuple[tuple[str, int, int], ...]  # name, seconds, digits after the point; the largest first, the last is a second
SHORT: _Units = (("d", 86_400, 1), ("h", 3_600, 1), ("min", 60, 0), ("s", 1, 0))
LONG: _Units = (("days", 86_400, 0), ("hours", 3_600, 0), ("minutes", 60, 0), ("seconds", 1, 0))


def printable(text: str) -> str:
    r"""Return text with what does not print escaped: `\n`, `\x1b`, `\u2028`; a byte that was no UTF-8 (PEP 383) as `\xff`.

    For every name or log line of other programs, so that the output has no further lines and no terminal escape sequences. Quotes
    and backslashes are printable.
    """
    return text if text.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code - 0xDC00:02x}" if code in _RAW_BYTE else ascii(char)[1:-1]


def utc(at: float, form: str = DISPLAY) -> str:
    """Format a Unix time; one beyond the range of gmtime(3) as a number."""
    try:
        return time.strftime(form, time.gmtime(at))
    except (OverflowError, ValueError, OSError):
        return f"Unix time {at:.0f}"


def span(seconds: float, units: _Units = SHORT) -> str:
    """Format a duration in the largest unit of which it has two: `40 s`, `21 min`, `2.5 h`; at least `0 s`."""
    name, size, digits = next((unit for unit in units if seconds >= 2 * unit[1]), units[-1])
    return f"{max(seconds, 0.0) / size:.{digits}f}".removesuffix(".0") + f" {name}"


def two_units(seconds: float, between: str = " ") -> str:
    """Format a duration in its two largest units: `45s`, `5m 51s`, `2d 4h`, `-5s`."""
    left = round(seconds)
    sign, left = ("-", -left) if left < 0 else ("", left)
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + between.join(parts[:2] or ["0s"])


def known_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return evidence without what is not known (None, an empty text, an empty collection), in nested facts as well; 0 and False stay."""
    return {name: found for name, value in facts.items() if not is_unknown(found := _known(value))}


def is_unknown(value: Any) -> bool:  # noqa: ANN401 — a fact of any type
    """Return whether a fact says nothing: None, an empty text or an empty collection."""
    return value is None or (isinstance(value, (str, dict, list, tuple)) and not value)


def _known(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return known_facts(value)
    if isinstance(value, (list, tuple)):
        return [found for item in value if not is_unknown(found := _known(item))]
    return value


def formatted(value: Any) -> str:  # noqa: ANN401 — any evidence of a collector
    """Format an evidence value: dictionaries and lists without brackets, booleans as yes and no."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {formatted(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return "; ".join(map(formatted, value)) or "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
