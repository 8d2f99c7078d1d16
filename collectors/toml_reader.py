"""Bounded TOML reader. Refuses what costs tomllib minutes, a RecursionError or a bare ValueError."""

from __future__ import annotations

import re
import tomllib
from typing import Any

MAX_DEPTH = 32  # levels: the formats read here have four
_PART = r"""(?:(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_DEEP_KEY = re.compile(rf"{_PART}(?:\.[ \t]*+{_PART}){{{MAX_DEPTH},}}", re.ASCII)


class BadToml(ValueError):  # noqa: N818 — the user's mistake, like BadInput
    """Not TOML, or TOML beyond the bounds; the text says where, if that is known, and why."""


def read_toml(text: str) -> dict[str, Any]:
    """Parse a document of at most MAX_DEPTH levels. Raises BadToml.

    Dotted keys are checked before the parser sees them, since its time grows with the square of their parts: 200 KB took 47 s.
    """
    if deep := _DEEP_KEY.search(text):
        raise BadToml(f"line {text.count(chr(10), 0, deep.start()) + 1}: nested too deeply; expected sections of keys")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(error))
        raise BadToml(f"line {match[2]}, column {match[3]}: not TOML: {match[1]}" if match else f"not TOML: {error}") from None
    except RecursionError:
        raise BadToml("nested too deeply; expected sections of keys") from None
    except ValueError as error:  # int() of more than 4,300 digits (sys.set_int_max_str_digits)
        raise BadToml(f"not TOML: {str(error).partition(':')[0]}; expected numbers in range") from None
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, (dict, list)) and inner
        ]
        if not level:
            return document
    raise BadToml("nested too deeply; expected sections of keys")
