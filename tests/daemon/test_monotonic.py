"""Times at which the trigger fires."""

from __future__ import annotations

import datetime as dt

import pytest

from daemon.monotonic import IntervalTrigger, MonotonicZone

NOW = dt.datetime.now(MonotonicZone())


def moments(every: IntervalTrigger, count: int) -> list[dt.datetime]:
    found = [every.get_next_fire_time(None, NOW)]
    while len(found) < count:
        found.append(every.get_next_fire_time(found[-1], found[-1] + dt.timedelta(milliseconds=1)))
    return found


@pytest.mark.parametrize("seconds", [0.1, 2.0, 5.0, 30.0, 3600.0])
def test_the_first_run_is_at_once_and_the_second_neither_soon_nor_late(seconds: float) -> None:
    first, second, third, fourth = moments(IntervalTrigger(seconds), 4)
    assert first == NOW
    assert 0.5 * seconds <= (second - first).total_seconds() <= 1.5 * seconds
    assert third - second == fourth - third == dt.timedelta(seconds=seconds)


def test_collectors_of_one_host_run_at_the_same_times() -> None:
    often, seldom = moments(IntervalTrigger(5.0), 20), moments(IntervalTrigger(30.0), 3)
    assert set(seldom[1:]) <= set(often)


def test_a_missed_run_is_not_made_up_for() -> None:
    every = IntervalTrigger(5.0)
    _, second = moments(every, 2)
    late = second + dt.timedelta(seconds=12)
    after = every.get_next_fire_time(second, late)
    assert dt.timedelta(0) < after - late <= dt.timedelta(seconds=5)
    assert (after - second) % dt.timedelta(seconds=5) == dt.timedelta(0)


def test_a_run_that_was_brought_forward_does_not_double_the_next() -> None:
    every = IntervalTrigger(5.0)
    *_, third = moments(every, 3)
    early = third - dt.timedelta(seconds=1)
    assert every.get_next_fire_time(early, early + dt.timedelta(milliseconds=1)) == third + dt.timedelta(seconds=5)
