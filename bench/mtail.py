"""An mtail program that counts what the signature packs count, with the packs' own patterns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.logs.matching.packs import Signature

_GROUP = re.compile(r"\(\?P<[a-z_0-9]+>")


def program(signatures: Iterable[Signature]) -> str:
    """Write one counter with the signature as its label; captures are left out, which makes it easier for mtail."""
    rules = [f'/{_pattern(signature.pattern)}/ {{\n  events["{signature.id}"]++\n}}\n' for signature in signatures]
    return "counter events by signature\n\n" + "".join(rules)


def _pattern(pattern: str) -> str:
    return _GROUP.sub("(?:", pattern).replace("/", r"\/")
