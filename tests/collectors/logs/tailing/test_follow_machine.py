from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.kit.follow_machine import FollowMachine, programs


@pytest.mark.fault(53)
def test_whatever_happens_to_a_file_every_line_is_read_once_or_its_loss_is_counted() -> None:
    run_state_machine_as_test(FollowMachine, settings=programs(60))
