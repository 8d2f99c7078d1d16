"""The follower against the model of a log file, with many more runs than in the unit test."""

from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.kit.follow_machine import FollowMachine, machine_settings


@pytest.mark.fault(53)
def test_2500_runs_of_writing_rotating_truncating_deleting_and_restarting() -> None:
    run_state_machine_as_test(FollowMachine, settings=machine_settings(2500))
