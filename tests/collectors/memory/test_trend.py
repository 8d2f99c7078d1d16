"""A leak is found; a step, a sawtooth, a daily cycle, a warm-up and noise are not. For rates see bench/leaks.py."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest

from collectors.memory import trend
from collectors.memory.history import SIZES, Mark, begin, restore
from collectors.memory.robust import theil_sen
from collectors.memory.window import DAY, FAST, QUARTER, SLOW, Point, Window, of_plain
from tests.collectors.memory.hosts import Kept, books

if TYPE_CHECKING:
    from collections.abc import Callable

GIB = 1 << 30
TOTAL = 16 * GIB
PARTS = (0,) * len(SIZES)


def quarters(shape: Callable[[float], float], days: float, noise: float = 0.00005) -> tuple[Point, ...]:
    """A slow series: the shape is a share of RAM by day."""
    dice = random.Random(3)  # noqa: S311
    number = int(days * DAY)
    return tuple(Point(i * QUARTER, int(TOTAL * (0.03 + shape(i / DAY) + dice.gauss(0, noise)))) for i in range(number))[-SLOW:]


def minutes(shape: Callable[[float], float], number: int = FAST) -> Window:
    """A fast series: the shape is bytes by minute, a point every 30 s."""
    window = Window()
    for i in range(number):
        window = window.add(Point(1000 + 30.0 * i, int(GIB + shape(i / 2))))
    return window


def cycle(day: float) -> float:
    return 0.002 * math.sin(2 * math.pi * day)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("flat", lambda _: 0.0),
        ("a daily cycle", cycle),
        ("a step up", lambda day: 0.02 if day > 3.6 else 0.0),
        ("two steps in half a day", lambda day: 0.01 * (day > 3.6) + 0.01 * (day > 3.8)),
        ("a step down", lambda day: 0.0 if day > 3.6 else 0.02),
        ("a sawtooth", lambda day: 0.003 * (day * 24 % 5) / 5),
        ("a sawtooth on a cycle", lambda day: cycle(day) + 0.002 * (day * 24 % 7) / 7),
        ("a warm-up after boot", lambda day: 0.02 * (1 - math.exp(-day * 4))),
        ("a job a day", lambda day: 0.01 if day % 1 > 0.7 else 0.0),
    ],
)
def test_is_not_a_leak(name: str, shape: Callable[[float], float]) -> None:
    series = quarters(shape, 4)
    for end in range(DAY, len(series), 5):
        assert trend.steady(series[:end], TOTAL) is None, f"{name}, after {end / DAY:.1f} days"


@pytest.mark.parametrize("background", [lambda _: 0.0, cycle, lambda day: cycle(day) + 0.002 * (day * 24 % 5) / 5])
@pytest.mark.parametrize("a_day", [0.01, 0.03, 0.1])
def test_a_slow_leak_is_found_within_half_a_day(background: Callable[[float], float], a_day: float) -> None:
    series = quarters(lambda day: background(day) + a_day * max(day - 3, 0), 3.55)
    found = next(filter(None, (trend.steady(series[:end], TOTAL) for end in range(3 * DAY, len(series)))), None)
    assert found is not None
    assert 0.5 < found.slope / (a_day * TOTAL / 86400) < 1.6
    assert 0 < found.lower <= found.slope


def test_an_old_leak_is_still_one_when_every_day_we_remember_leaks() -> None:
    found = trend.steady(quarters(lambda day: cycle(day) + 0.01 * day, 6.2), TOTAL)
    assert found is not None
    assert found.how == "days"
    assert found.slope == pytest.approx(0.01 * TOTAL / 86400, rel=0.1)


def test_a_fast_leak_ends_soon() -> None:
    found = trend.growth(minutes(lambda minute: 40e6 * minute), TOTAL, 8 * GIB, 4.0)
    assert found.how == "fast"
    assert found.slope == pytest.approx(40e6 / 60, rel=0.02)
    assert found.exhaustion(8 * GIB) == pytest.approx(8 * GIB / (40e6 / 60), rel=0.02)


def test_no_forecast_goes_further_than_four_times_what_was_seen() -> None:
    window = minutes(lambda minute: 4e6 * minute)
    assert not trend.growth(window, TOTAL, 8 * GIB, 4.0).sure
    assert trend.growth(window, TOTAL, 8 * GIB, 100.0).sure


@pytest.mark.parametrize(
    "shape",
    [
        lambda minute: 4e9 if minute > 30 else 0.0,
        lambda minute: 2e9 * (minute > 20) + 2e9 * (minute > 40),
        lambda minute: 4e9 * (1 - math.exp(-minute / 3)),
        lambda minute: -20e6 * minute,
    ],
)
def test_a_burst_is_not_a_fast_leak(shape: Callable[[float], float]) -> None:
    for number in range(10, FAST + 1, 5):
        assert not trend.growth(minutes(shape, number), TOTAL, 8 * GIB, 4.0).sure


def test_the_second_tooth_of_a_saw_is_not_a_fast_leak() -> None:
    for number in range(22, FAST + 1):
        assert not trend.growth(minutes(lambda minute: 4e9 * (minute % 10) / 10, number), TOTAL, 8 * GIB, 4.0).sure


def test_what_does_not_grow_never_ends() -> None:
    assert trend.growth(minutes(lambda _: 0.0), TOTAL, GIB, 4.0).exhaustion(GIB) == math.inf
    assert trend.growth(Window(), TOTAL, GIB, 4.0).exhaustion(GIB) == math.inf


def test_theil_sen_does_not_mind_a_quarter_of_nonsense() -> None:
    series = [(float(i), 2.0 * i if i % 4 else 1e9) for i in range(41)]
    assert theil_sen(series) == pytest.approx(2.0, abs=0.5)


def test_the_window_is_bounded() -> None:
    window = Window()
    for i in range(40_000):
        window = window.add(Point(30.0 * i, i, PARTS))
    assert (len(window.fast), len(window.slow)) == (FAST, SLOW)
    assert len(window.fast) + len(window.slow) <= 720


def test_the_window_keeps_the_lowest_of_each_quarter() -> None:
    window = Window()
    for i in range(61):
        window = window.add(Point(30.0 * i, 100 if i == 7 else 1000))
    assert [point.held for point in window.slow] == [100, 1000]


def test_a_gap_is_bridged_and_a_lost_day_is_not() -> None:
    window = Window().add(Point(10, 100, PARTS)).add(Point(10 + 4 * QUARTER, 500, PARTS))
    assert [point.held for point in window.slow] == [100, 200, 300, 400]
    assert window.add(Point(30 * 3600 + 10, 1, PARTS)).slow == ()


@pytest.mark.fault(40)
def test_a_clock_that_goes_back_starts_afresh() -> None:
    window = Window().add(Point(1000, 1)).add(Point(2000, 2)).add(Point(500, 3))
    assert window == Window((Point(500, 3),), (), Point(500, 3))


def remembered(kept: Kept) -> None:
    history = begin("boot-1", books("vm-6.18")).mark(Mark(5.0, {"dentry": 2}, frozenset({"ena"})), 24)
    for i in range(300):
        history = history.add(30.0 * i, books("vm-6.18"))
    kept.save(history.plain())


def test_the_history_survives_a_restart() -> None:
    kept = Kept()
    remembered(kept)
    history = restore(kept.load(), "boot-1", books("vm-6.18"), 10_000.0)
    assert (len(history.window.fast), len(history.window.slow)) == (FAST, 9)
    assert history.marks[0].slab == {"dentry": 2}
    assert history.before(9000).modules == {"ena"}


def test_a_reboot_or_another_size_forgets_it() -> None:
    kept = Kept()
    remembered(kept)
    assert restore(kept.load(), "boot-2", books("vm-6.18"), 10_000.0).window == Window()
    assert restore(kept.load(), "boot-1", books("laptop-6.17"), 10_000.0).window == Window()
    assert restore(kept.load(), "boot-1", books("vm-6.18-hugepages"), 10_000.0).window == Window()
    assert restore(kept.load(), "boot-1", books("vm-6.18"), 100.0).window == Window(), "points of the future are another boot's"


@pytest.mark.fault(27)
@pytest.mark.parametrize("text", ["null", "[]", "7", '"x"', "{}", '{"boot": "boot-1"}'])
def test_a_state_of_no_use_starts_afresh(text: str) -> None:
    assert restore(Kept(text).load(), "boot-1", books("vm-6.18"), 10_000.0).window == Window()


@pytest.mark.fault(27)
def test_a_damaged_state_starts_afresh_and_never_raises() -> None:
    kept = Kept()
    remembered(kept)
    dice = random.Random(4)  # noqa: S311
    for _ in range(300):
        text = list(kept.text)
        for _ in range(dice.randrange(1, 6)):
            text[dice.randrange(len(text))] = dice.choice('0-9"[]{}:,.eEn')
        try:
            value = Kept("".join(text)).load()
        except ValueError:
            continue
        restore(value, "boot-1", books("vm-6.18"), 10_000.0)


@pytest.mark.parametrize(
    "rows", [[[1.0]], [[1.0, 2, *PARTS], [1.0, 2, *PARTS]], [["a", 2, *PARTS]], [[1.0, 1 << 60, *PARTS]], [[True, 2, *PARTS]]]
)
def test_points_that_cannot_be_are_not_taken(rows: list[list[object]]) -> None:
    assert of_plain({"fast": rows, "slow": [], "lowest": None}, len(SIZES), 10.0) == Window()
