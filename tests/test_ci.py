"""What CI installs is what the tests need, in one list."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import PACKAGES

CI = Path(__file__).parents[1] / ".ci/run"


def test_ci_installs_the_package_of_every_program_a_test_asks_for() -> None:
    block = CI.read_text().partition("packages=(\n")[2].partition("\n)")[0]
    installed = set(re.sub("#.*", "", block).split())
    assert set(PACKAGES.values()) - installed == set()
