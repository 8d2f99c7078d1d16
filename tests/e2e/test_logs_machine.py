"""The follower of a file against a model of it, for longer than the short tests have time."""

from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.kit.follow_machine import FollowMachine, programs


@pytest.mark.fault(53)
def test_two_thousand_programs_of_writing_rotating_truncating_deleting_and_restarting() -> None:
    run_state_machine_as_test(FollowMachine, settings=programs(2500))
