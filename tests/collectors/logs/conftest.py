from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.logs.database import open_database
from collectors.logs.matcher import Matcher
from collectors.logs.packs import Packs, load

if TYPE_CHECKING:
    from collections.abc import Sequence

FIXTURES = Path(__file__).parents[2] / "fixtures" / "logs"


@pytest.fixture(scope="session")
def packs() -> Packs:
    return load(samples=True)


@pytest.fixture(scope="session")
def database_file(tmp_path_factory: pytest.TempPathFactory, packs: Packs) -> Path:
    file = tmp_path_factory.mktemp("signatures") / "database"
    open_database(packs.signatures, file)
    return file


@pytest.fixture(scope="session")
def matcher(packs: Packs, database_file: Path) -> Matcher:
    return Matcher(packs.signatures, open_database(packs.signatures, database_file))


@pytest.fixture(scope="session")
def fixture_lines() -> dict[str, Sequence[tuple[str, ...]]]:
    """Give the real lines nobody here wrote: what must never match, and what only tells of a state."""
    return {
        name: [tuple(line.split("\t")) for line in (FIXTURES / name).read_text().splitlines() if line]
        for name in ("negatives.txt", "benign-state.txt")
    }
