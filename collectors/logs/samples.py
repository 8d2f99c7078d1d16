"""A pack's samples are its test: every one must match, or not, as the pack says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.logs.database import open_database
from collectors.logs.matcher import Matcher, believed
from collectors.model import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collectors.logs.packs import Signature


def broken_samples(signatures: Sequence[Signature]) -> Iterator[str]:
    """Name what the packs promise and do not hold, a line each."""
    try:
        matcher = Matcher(signatures, open_database(signatures))
    except BadInput as error:
        yield str(error)
        return
    for signature in signatures:
        where = f"{signature.origin}: signature '{signature.id}'"
        for line in signature.match:
            if signature.id not in (found := _matches(matcher, line)):
                yield f"{where}: match: {line!r:.120} is not matched{f' (but by {found[0]})' if found else ''}"
        for line in signature.no_match:
            if signature.id in _matches(matcher, line):
                yield f"{where}: no_match: {line!r:.120} is matched"


def _matches(matcher: Matcher, line: str) -> list[str]:
    return [hit.signature.id for hit in matcher.hits(line.encode() + b"\n", believed)]
