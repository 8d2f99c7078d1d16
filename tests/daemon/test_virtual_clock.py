"""Random programs of ticks, hangs, failures, reloads, clock steps, suspends and scrapes; 100,000 steps: `make virtual-clock`."""

import pytest

from tests.kit.virtual_clock import run

pytestmark = pytest.mark.fault(170)


@pytest.mark.parametrize("seed", range(3))
def test_no_step_of_a_random_program_breaks_a_rule(seed: int) -> None:
    counts = run(250, seed)
    assert all(counts[kind] for kind in ("tick", "step clock", "suspend", "reload", "scrape", "wake", "save", "hangs", "failures")), counts
