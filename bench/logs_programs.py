"""Random programs of a writer, logrotate and kills on a followed log file: lines lost without a count, and lines read twice."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.kit.follow_machine import FollowMachine, machine_settings
from tests.kit.results import Row

if TYPE_CHECKING:
    from pathlib import Path

ISSUE = 12
_PROGRAMS = int(os.environ.get("VITALD_BENCH_PROGRAMS", "5000"))


def measure(folder: Path) -> list[Row]:  # noqa: ARG001 — the machine makes its own folders
    """Run the programs, others each time, and return what they lost and doubled; a failing one is reduced and shown."""
    FollowMachine.totals.clear()
    began, reason = time.monotonic(), ""
    try:
        run_state_machine_as_test(FollowMachine, settings=settings(machine_settings(_PROGRAMS), database=None, derandomize=False))
    except (AssertionError, ExceptionGroup) as error:
        reason = " ".join(f"{error} {' '.join(getattr(error, '__notes__', ()))}".replace("|", "/").split())
    totals = FollowMachine.totals
    measured = f"{totals['lost']} lost, {totals['doubled']} doubled"
    measure = (
        f"{totals['programs']:,} random log programs of up to 25 steps, {totals['written']:,} lines written, "
        f"{totals['destroyed']:,} of them destroyed before they were read, in {time.monotonic() - began:.0f} s"
    )
    return [Row(measure, "0 lost, 0 doubled", measured, "-", "-", met=not reason, reason=reason)]
