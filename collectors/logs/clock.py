"""The two clocks a log needs: the wall's, for people and for lines' own times, and one that no one can set, for ages and windows."""

from __future__ import annotations

import time
from typing import NamedTuple


class Timestamp(NamedTuple):
    """`wall` is Unix time. `boottime` is seconds since boot, sleep included (CLOCK_BOOTTIME): steps of the wall clock do not move it."""

    wall: float
    boottime: float

    def age(self, at: float) -> float:
        """Give the seconds since a Unix time, never fewer than none: clocks are set, and lines are dated by other people's clocks."""
        return max(0.0, self.wall - at)


def now() -> Timestamp:
    """Look at both clocks."""
    return Timestamp(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))
