"""Time for the scheduler: a clock that nobody can set.

APScheduler 3 plans in wall-clock `datetime`s, all of them made by `datetime.now(scheduler.timezone)`. A clock set back by an hour would
silence every collector for an hour, one set forward would make all of them late. `datetime.now(tz)` asks `tz.fromutc()` what the time is,
so a timezone of ours answers with CLOCK_MONOTONIC, and the trigger does nothing but add.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from typing import Any

from apscheduler.triggers.base import BaseTrigger

_EPOCH = dt.datetime(2000, 1, 1)  # noqa: DTZ001 — the zone is put on below


class MonotonicZone(dt.tzinfo):
    """A timezone in which it is always 2000-01-01 plus the seconds of CLOCK_MONOTONIC."""

    def utcoffset(self, _when: dt.datetime | None) -> dt.timedelta:  # noqa: D102
        return dt.timedelta(0)

    def dst(self, _when: dt.datetime | None) -> dt.timedelta:  # noqa: D102
        return dt.timedelta(0)

    def tzname(self, _when: dt.datetime | None) -> str:  # noqa: D102
        return "MONOTONIC"

    def fromutc(self, _wall: dt.datetime) -> dt.datetime:
        """Answer `datetime.now(zone)`; what the wall says is not looked at."""
        return (_EPOCH + dt.timedelta(seconds=time.monotonic())).replace(tzinfo=self)


_OFFSET = dt.timedelta(seconds=random.uniform(0, 3600))  # noqa: S311 — spreads a fleet's load, guards nothing


class IntervalTrigger(BaseTrigger):  # type: ignore[misc]  # apscheduler 3 is untyped
    """At once, then every `seconds`, at multiples of it on a clock whose zero is this process's own.

    Hosts that are restarted together do not stay in step, but the collectors of one host do: a processor that wakes once for all of them
    spends less than one that wakes for each, whose caches are cold each time. A moment that was missed (a suspended machine, a CPU quota)
    is not made up for.
    """

    def __init__(self, seconds: float) -> None:
        self._period = dt.timedelta(seconds=seconds)
        self._zero = _EPOCH + _OFFSET

    def get_next_fire_time(self, previous: dt.datetime | None, now: dt.datetime) -> dt.datetime:
        """Give the next moment after `now`; the first pause is between a half and one and a half of the others."""
        if previous is None:
            return now
        after = max(now, previous + self._period / 2)
        turn = (after.replace(tzinfo=None) - self._zero) // self._period + 1
        return (self._zero + turn * self._period).replace(tzinfo=after.tzinfo)

    def __getstate__(self) -> Any:  # noqa: ANN401 — the base class's signature
        raise TypeError("jobs live in memory only")
