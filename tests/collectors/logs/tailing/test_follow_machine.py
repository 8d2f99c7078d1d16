from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.kit.follow_machine import FollowMachine, machine_settings


@pytest.mark.fault(53)
@pytest.mark.fault(157)
@pytest.mark.fault(163)
def test_each_line_is_read_once_or_its_loss_is_counted() -> None:
    """A sample of `make bench ONLY=logs_programs`."""
    run_state_machine_as_test(FollowMachine, settings=machine_settings(100))
