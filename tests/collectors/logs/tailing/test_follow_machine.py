from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.kit.follow_machine import FollowMachine, machine_settings


@pytest.mark.fault(53)
def test_each_line_is_read_once_or_its_loss_is_counted() -> None:
    run_state_machine_as_test(FollowMachine, settings=machine_settings(60))
