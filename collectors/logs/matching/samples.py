"""Check of the packs' samples: each line of `match` must match its signature, no line of `no_match` may."""

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
    """Return what is wrong with the packs, a line each; if they can be loaded, what is wrong with their samples."""
    pack_problems: list[str] = []
    packs = read(directories, pack_problems, samples=True)
    yield from pack_problems or broken_samples(packs.signatures)


def broken_samples(signatures: Sequence[Signature]) -> Iterator[str]:
    """Return the samples that do not match as declared, a line each."""
    try:
        matcher = Matcher(signatures, open_database(signatures))
    except BadInput as error:
        yield str(error)
        return
    for signature in signatures:
        where = f"{signature.origin}: signature '{signature.id}'"
        for line in signature.match:
            if signature.id not in (matched := _matches(matcher, line)):
                yield f"{where}: match: {line!r:.120} is not matched{f', only by {matched[0]}' if matched else ''}"
        for line in signature.no_match:
            if signature.id in _matches(matcher, line):
                yield f"{where}: no_match: {line!r:.120} is matched"


def _matches(matcher: Matcher, line: str) -> list[str]:
    return [match.signature.id for match in matcher.match_block(line.encode() + b"\n", allow_claimed_origin)]
