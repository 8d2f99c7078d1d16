"""CLOCK_MONOTONIC as the scheduler's clock.

APScheduler 3 plans in wall-clock `datetime`s, all made by `datetime.now(scheduler.timezone)`. With a clock set back by an hour no
collector would run for an hour, and with one set forward all would be late. `datetime.now(tz)` calls `tz.fromutc()`, so a timezone
that returns CLOCK_MONOTONIC there makes the scheduler independent of the wall clock.
"""

from __future__ import annotations

import datetime as dt
import random
import time

from apscheduler.triggers.base import BaseTrigger

_EPOCH = dt.datetime(2000, 1, 1)  # noqa: DTZ001 — MonotonicZone is added below


class MonotonicZone(dt.tzinfo):
    """Timezone whose time is 2000-01-01 plus the seconds of CLOCK_MONOTONIC."""

    def utcoffset(self, _when: dt.datetime | None) -> dt.timedelta:  # noqa: D102
        return dt.timedelta(0)

    def dst(self, _when: dt.datetime | None) -> dt.timedelta:  # noqa: D102
        return dt.timedelta(0)

    def tzname(self, _when: dt.datetime | None) -> str:  # noqa: D102
        return "MONOTONIC"

    def fromutc(self, _wall: dt.datetime) -> dt.datetime:
        """Return the time for `datetime.now(zone)`; the wall-clock argument is ignored."""
        return (_EPOCH + dt.timedelta(seconds=time.monotonic())).replace(tzinfo=self)


_OFFSET = dt.timedelta(seconds=random.uniform(0, 3600))  # noqa: S311 — spreads a fleet's load, no security purpose


class IntervalTrigger(BaseTrigger):  # type: ignore[misc]  # apscheduler 3 is untyped
    """Trigger that fires at once, then every `seconds`, at multiples of it after a random offset of this process.

    The offset spreads the load of hosts that are restarted together. It is common to all collectors of a process: waking the CPU once
    for all of them costs less than waking it for each, with cold caches each time. Missed runs (a suspended machine, a CPU quota) are
    not made up for.
    """

    def __init__(self, seconds: float) -> None:
        self._period = dt.timedelta(seconds=seconds)
        self._zero = _EPOCH + _OFFSET

    def get_next_fire_time(self, previous: dt.datetime | None, now: dt.datetime) -> dt.datetime:
        """Return the next multiple after `now`; the first interval is 0.5 to 1.5 times `seconds`."""
        if previous is None:
            return now
        after = max(now, previous + self._period / 2)
        count = (after.replace(tzinfo=None) - self._zero) // self._period + 1
        return (self._zero + count * self._period).replace(tzinfo=after.tzinfo)
