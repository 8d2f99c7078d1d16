"""The two clocks of the logs collector: wall clock and boottime."""

from __future__ import annotations

import time
from typing import NamedTuple


class Timestamp(NamedTuple):
    """`wall` is Unix time; `boottime` is seconds since boot, suspend included (CLOCK_BOOTTIME), whatever the wall clock is set to."""

    wall: float
    boottime: float

    def age(self, at: float) -> float:
        """Return the seconds since a Unix time, at least 0: the wall clock may be set back, and lines carry other hosts' times."""
        return max(0.0, self.wall - at)


def now() -> Timestamp:
    """Read both clocks."""
    return Timestamp(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))
