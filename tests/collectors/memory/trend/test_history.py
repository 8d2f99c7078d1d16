"""History: bounded, kept over restarts, and rejected when damaged."""

from __future__ import annotations

from itertools import accumulate, product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.memory.trend.history import KernelSnapshot, LedgerHistory, SavedHistory, new_history, restore
from collectors.memory.trend.window import FAST, HOUR, LEAST, QUARTER, SLOW, STEP, Point, Window, ascending
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
    kept.save(history.saved())


def test_the_history_survives_a_restart() -> None:
    kept = Kept()
    save_history(kept)
    history, rejected = restore(kept.load(SavedHistory), "boot-1", ledger_of("vm-6.18"), 10_000.0)
    assert rejected == 0
    assert (len(history.window.fast), len(history.window.slow)) == (120, 9)
    assert history.snapshots[0].slab == {"dentry": 2}
    assert history.snapshot_before(9000).modules == {"ena"}


def restored(kept: Kept, boot: str = "boot-1", host: str = "vm-6.18", now: float = 10_000.0) -> tuple[LedgerHistory, int]:
    return restore(kept.load(SavedHistory), boot, ledger_of(host), now)


def test_a_reboot_or_another_size_discards_it() -> None:
    kept = Kept()
    save_history(kept)
    for history, rejected in (restored(kept, boot="boot-2"), restored(kept, host="laptop-6.17"), restored(kept, host="vm-6.18-hugepages")):
        assert (history.window, rejected) == (Window(), 0)


@pytest.mark.fault(155)
def test_points_and_snapshots_of_the_future_are_dropped_and_counted() -> None:
    kept = Kept()
    save_history(kept)
    history, rejected = restored(kept, now=100.0)
    assert ([point.at for point in history.window.fast], history.window.slow, rejected) == ([], (), 129)


@pytest.mark.fault(27)
@pytest.mark.parametrize("text", [b"null", b"[]", b"7", b'"x"', b"{}", b'{"boot": "boot-1"}'])
def test_an_invalid_state_starts_a_new_history(text: bytes) -> None:
    assert restored(Kept(text))[0].window == Window()
    assert restored(Kept(b'{"version":1,"value":%s}' % text))[0].window == Window()


@pytest.mark.fault(155)
def test_one_point_of_a_wrong_time_or_size_is_dropped() -> None:
    kept = Kept()
    save_history(kept)
    saved = kept.load(SavedHistory)
    early, late, short = (saved.fast[60]._replace(at=5.0), saved.fast[60]._replace(at=9_999.0), saved.fast[60]._replace(parts=(1,)))
    for bad in (early, late, short):
        kept.save(msgspec.structs.replace(saved, fast=(*saved.fast[:60], bad, *saved.fast[61:])))
        history, rejected = restored(kept)
        assert (history.window.fast, rejected) == ((*saved.fast[:60], *saved.fast[61:]), 1)


@given(st.lists(st.integers(0, 12)))
def test_the_longest_ascending_part_is_kept(times: list[int]) -> None:
    kept = ascending([Point(at, 0) for at in times], 10.0)
    possible = [[at for at, chosen in zip(times[:10], bits, strict=False) if chosen] for bits in product([0, 1], repeat=len(times[:10]))]
    longest = max(len(part) for part in possible if part == sorted(set(part)) and max(part, default=0) <= 10)
    ats = [point.at for point in kept]
    assert ats == sorted(set(ats))
    assert all(at <= 10 for at in ats)
    assert len(times) > 10 or len(ats) == longest
