"""docs/fleet.md: its tables are those that the script makes now."""

from __future__ import annotations

import re

import pytest

from tools import simulate_fleet


@pytest.mark.parametrize("number", simulate_fleet.QUICK)
def test_the_tables_rows_are_what_the_script_makes(number: int) -> None:
    text = simulate_fleet.PAGE.read_text()
    assert all(row in text for row in simulate_fleet.rows(number)), "run tools/simulate_fleet.py again"


def test_the_largest_fleets_rows_were_made_from_this_choice_and_these_defaults() -> None:
    """Making them again takes minutes."""
    found = re.search(r"<!-- made from (\w+) -->", simulate_fleet.PAGE.read_text())
    assert found
    assert found[1] == simulate_fleet.made_from(), "run tools/simulate_fleet.py again"


def test_a_page_is_filled_between_its_markers_and_again() -> None:
    text = "a\n<!-- made from x -->\n<!-- shape -->\nold\n<!-- end -->\nb\n<!-- seen -->\n<!-- end -->\nc\n"
    once = simulate_fleet.page(text, [("| one |", "| two |")])
    assert simulate_fleet.page(once, [("| one |", "| two |")]) == once
    assert "old" not in once
    assert once.index("| one |") < once.index("\nb\n") < once.index("| two |") < once.index("\nc\n")
