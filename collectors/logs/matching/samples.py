"""A pack's samples are its test: every one must match, or not, as the pack says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.logs.matching.database import open_database
from collectors.logs.matching.matcher import Matcher, allow_claimed_origin
from collectors.logs.matching.packs import read
from collectors.model import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from collectors.logs.matching.packs import Signature


def problems(directories: Iterable[Path]) -> Iterator[str]:
    """Name what is wrong with the packs, a line each; where they can be loaded, what is wrong with their samples."""
    found: list[str] = []
    packs = read(directories, found, samples=True)
    yield from found or broken_samples(packs.signatures)


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
    return [match.signature.id for match in matcher.match_block(line.encode() + b"\n", allow_claimed_origin)]
