"""History: bounded, kept over restarts, and rejected when damaged."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.memory.trend.history import SIZES, KernelSnapshot, new_history, restore
from collectors.memory.trend.window import FAST, HOUR, LEAST, QUARTER, SLOW, STEP, Point, Window, window_from_json
from tests.collectors.memory.hosts import ledger_of
from tests.collectors.memory.trend.quarters import PARTS
from tests.kit.slots import Kept


def test_the_window_is_bounded() -> None:
    window = Window()
    for i in range(40_000):
        window = window.add(Point(30.0 * i, i, PARTS))
    assert (len(window.fast), len(window.slow)) == (120, SLOW)
    for i in range(8_000):
        window = window.add(Point(2_000_000 + 0.5 * i, i, PARTS), span=1e9)
        assert len(window.fast) <= FAST


@pytest.mark.fault(140)
@given(st.lists(st.floats(0.1, 700.0), min_size=1, max_size=400))
def test_the_newest_hour_is_thinned_by_time_and_ends_with_the_newest_point(intervals: list[float]) -> None:
    """Of any sequence of intervals: the first point of each STEP seconds, none older than an hour but the newest LEAST; and the newest."""
    window, at = Window(), 0.0
    for number, interval in enumerate(intervals):
        at += interval
        window = window.add(Point(at, number))
    times = [point.at for point in window.fast]
    assert window.fast[-1] == Point(at, len(intervals) - 1)
    assert times == sorted(times)
    assert len({int(time // STEP) for time in times[:-1]}) == len(times[:-1]) < FAST
    assert all(at - time < HOUR for time in times[:-LEAST])
    bridged = {time // STEP for time in accumulate(intervals) if at - time < HOUR}
    assert {time // STEP for time in times if at - time < HOUR} == bridged, "no step without a point where there was one"


def test_the_window_keeps_the_lowest_of_each_quarter() -> None:
    window = Window()
    for i in range(61):
        window = window.add(Point(30.0 * i, 100 if i == 7 else 1000))
    assert [point.size for point in window.slow] == [100, 1000]


def test_a_gap_is_bridged_and_a_lost_day_is_not() -> None:
    window = Window().add(Point(10, 100, PARTS)).add(Point(10 + 4 * QUARTER, 500, PARTS))
    assert [point.size for point in window.slow] == [100, 200, 300, 400]
    assert window.add(Point(30 * 3600 + 10, 1, PARTS)).slow == ()


@pytest.mark.fault(40)
def test_a_clock_that_goes_back_starts_a_new_window() -> None:
    window = Window().add(Point(1000, 1)).add(Point(2000, 2)).add(Point(500, 3))
    assert window == Window((Point(500, 3),), (), Point(500, 3))


def save_history(kept: Kept) -> None:
    history = new_history("boot-1", ledger_of("vm-6.18")).add_snapshot(KernelSnapshot(5.0, {"dentry": 2}, frozenset({"ena"})))
    for i in range(300):
        history = history.add(30.0 * i, ledger_of("vm-6.18"))
    kept.save(history.to_json())


def test_the_history_survives_a_restart() -> None:
    kept = Kept()
    save_history(kept)
    history = restore(kept.load(), "boot-1", ledger_of("vm-6.18"), 10_000.0)
    assert (len(history.window.fast), len(history.window.slow)) == (120, 9)
    assert history.snapshots[0].slab == {"dentry": 2}
    assert history.snapshot_before(9000).modules == {"ena"}


def test_a_reboot_or_another_size_discards_it() -> None:
    kept = Kept()
    save_history(kept)
    assert restore(kept.load(), "boot-2", ledger_of("vm-6.18"), 10_000.0).window == Window()
    assert restore(kept.load(), "boot-1", ledger_of("laptop-6.17"), 10_000.0).window == Window()
    assert restore(kept.load(), "boot-1", ledger_of("vm-6.18-hugepages"), 10_000.0).window == Window()
    assert restore(kept.load(), "boot-1", ledger_of("vm-6.18"), 100.0).window == Window(), "points of the future are of another boot"


@pytest.mark.fault(27)
@pytest.mark.parametrize("text", ["null", "[]", "7", '"x"', "{}", '{"boot": "boot-1"}'])
def test_an_invalid_state_starts_a_new_history(text: str) -> None:
    assert restore(Kept(text).load(), "boot-1", ledger_of("vm-6.18"), 10_000.0).window == Window()


@pytest.mark.fault(27)
def test_a_damaged_state_starts_a_new_history_and_never_raises() -> None:
    kept = Kept()
    save_history(kept)
    dice = random.Random(4)  # noqa: S311
    for _ in range(300):
        text = list(kept.text)
        for _ in range(dice.randrange(1, 6)):
            text[dice.randrange(len(text))] = dice.choice('0-9"[]{}:,.eEn')
        try:
            value = Kept("".join(text)).load()
        except ValueError:
            continue
        restore(value, "boot-1", ledger_of("vm-6.18"), 10_000.0)


@pytest.mark.parametrize(
    "rows", [[[1.0]], [[1.0, 2, *PARTS], [1.0, 2, *PARTS]], [["a", 2, *PARTS]], [[1.0, 1 << 60, *PARTS]], [[True, 2, *PARTS]]]
)
def test_invalid_points_are_rejected(rows: list[list[object]]) -> None:
    assert window_from_json({"fast": rows, "slow": [], "lowest": None}, len(SIZES), 10.0) == Window()
