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


class Every(BaseTrigger):  # type: ignore[misc]  # apscheduler 3 is untyped
    """At once, then every `seconds`; the first pause is shorter by a random part, so that a fleet restarted together does not stay in step.

    A moment that was missed (a suspended machine, a CPU quota) is not made up for.
    """

    def __init__(self, seconds: float) -> None:
        self._period = dt.timedelta(seconds=seconds)
        self._first = self._period * random.uniform(0.5, 1.0)  # noqa: S311 — spreads load, guards nothing
        self._start: dt.datetime | None = None

    def get_next_fire_time(self, previous: dt.datetime | None, now: dt.datetime) -> dt.datetime:
        """Give the next moment after `previous` that is not already gone."""
        if previous is None:
            self._start = now
            return now
        after = previous + (self._first if previous == self._start else self._period)
        if after <= now:
            after += self._period * ((now - after) // self._period + 1)
        return after

    def __getstate__(self) -> Any:  # noqa: ANN401 — the base class's signature
        raise TypeError("jobs live in memory only")
