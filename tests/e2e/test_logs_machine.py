"""The follower against the model of a log file, with more programs than the unit test; `make bench ONLY=logs_programs` runs thousands."""

from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.kit.follow_machine import FollowMachine, machine_settings


@pytest.mark.fault(53)
def test_500_programs_of_writing_rotating_copying_compressing_and_restarting() -> None:
    run_state_machine_as_test(FollowMachine, settings=machine_settings(500))
