from __future__ import annotations

import re

import pytest

from tests.drills.__main__ import QUIET
from tests.drills.faults import DRILLS, Drill
from tests.kit.rulebook import alerts

NAMES = {drill.name for drill in DRILLS} | {QUIET}


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_a_drill_waits_for_an_alert_that_is_there(drill: Drill) -> None:
    assert drill.alert in alerts()
    re.compile(drill.shows_as)


def test_no_two_drills_have_one_name() -> None:
    assert len(NAMES) == len(DRILLS) + 1
