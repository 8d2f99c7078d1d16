from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.probe_lab import Lab, link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with link(tmp_path) as two:
        yield two
