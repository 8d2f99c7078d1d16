"""Published log lines of hosts that are not ours: each matches the signatures that its file names, and no other.

A file of `foreign/` holds lines of `line<TAB>ids<TAB>source`. `ids` are separated by commas; `-` where nothing may match. `source` is
where the line was published. Lines that begin with `#` are comments.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.logs.matching.matcher import allow_claimed_origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.logs.matching.matcher import Matcher
    from collectors.logs.matching.packs import Packs

FOREIGN = Path(__file__).parent / "foreign"
FILES = sorted(FOREIGN.glob("*.txt"))


def rows(file: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield each line of a file, and the ids of the signatures that it must match."""
    for number, row in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if row and not row.startswith("#"):
            assert row.count("\t") == 2, f"{file.name}:{number}: expected line, ids and source, with a tab between"
            line, ids, source = row.split("\t")
            assert source.strip(), f"{file.name}:{number}: no source"
            yield line, set() if ids == "-" else set(ids.split(","))


@pytest.mark.fault(150)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_foreign_lines_match_what_they_mean(matcher: Matcher, packs: Packs, file: Path) -> None:
    wrong: list[tuple[str, list[str], list[str]]] = []
    expected = list(rows(file))
    assert expected
    for line, ids in expected:
        assert ids <= packs.by_id.keys(), line
        if (matched := {match.signature.id for match in matcher.match_block(line.encode() + b"\n", allow_claimed_origin)}) != ids:
            wrong.append((line, sorted(ids), sorted(matched)))
    assert not wrong, f"{len(wrong)} of {len(expected)}: {wrong}"


@pytest.mark.fault(150)
def test_a_line_is_expected_in_one_way_only() -> None:
    expected: dict[str, set[str]] = {}
    for line, ids in (row for file in FILES for row in rows(file)):
        assert expected.setdefault(line, ids) == ids, line
    assert expected
