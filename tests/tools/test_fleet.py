"""docs/fleet.md: the tables equal the output of tools/simulate_fleet.py."""

from __future__ import annotations

import re

import pytest

from tools import simulate_fleet


@pytest.mark.parametrize("number", simulate_fleet.QUICK)
def test_rows_equal_the_output_of_the_simulation(number: int) -> None:
    text = simulate_fleet.PAGE.read_text()
    assert all(row in text for row in simulate_fleet.rows(number)), "run tools/simulate_fleet.py again"


def test_rows_of_the_largest_fleet_were_computed_with_this_selection_and_these_defaults() -> None:
    """Compare a digest, because computing these rows takes minutes."""
    found = re.search(r"<!-- made from (\w+) -->", simulate_fleet.PAGE.read_text())
    assert found
    assert found[1] == simulate_fleet.made_from(), "run tools/simulate_fleet.py again"


def test_tables_are_replaced_between_their_markers_repeatedly() -> None:
    text = "a\n<!-- made from x -->\n<!-- topology -->\nold\n<!-- end -->\nb\n<!-- detection -->\n<!-- end -->\nc\n"
    once = simulate_fleet.page(text, [("| one |", "| two |")])
    assert simulate_fleet.page(once, [("| one |", "| two |")]) == once
    assert "old" not in once
    assert once.index("| one |") < once.index("\nb\n") < once.index("| two |") < once.index("\nc\n")
