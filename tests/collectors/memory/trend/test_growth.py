"""A leak is found; a step, a sawtooth, a daily cycle, a warm-up and noise are not. For rates see bench/leaks.py."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from collectors.memory.trend import growth as trend
from collectors.memory.trend.statistics import theil_sen
from collectors.memory.trend.window import DAY, Window
from tests.collectors.memory.trend.quarters import GIB, HOUR_OF_POINTS, TOTAL, cycle, every, minutes, quarters

if TYPE_CHECKING:
    from collections.abc import Callable


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


def test_an_old_leak_is_detected_when_every_day_of_the_history_leaks() -> None:
    found = trend.steady(quarters(lambda day: cycle(day) + 0.01 * day, 6.2), TOTAL)
    assert found is not None
    assert found.method == "days"
    assert found.slope == pytest.approx(0.01 * TOTAL / 86400, rel=0.1)


@pytest.mark.parametrize("begins", [0.0, 0.3, 0.9])
def test_a_quick_leak_in_the_first_days_is_found_before_there_is_a_day_to_compare_with(begins: float) -> None:
    series = quarters(lambda day: cycle(day) + 0.08 * max(day - begins, 0), 1.5)
    first, found = next((end, found) for end in range(len(series)) if (found := trend.steady(series[:end], TOTAL)))
    assert found.method == "first days"
    assert first / DAY - begins < 0.5
    assert found.slope == pytest.approx(0.08 * TOTAL / 86400, rel=0.3)
    assert trend.steady(series[:first], TOTAL, young=False) is None  # a process that fills its heap


@pytest.mark.parametrize(
    "shape",
    [
        lambda day: 0.02 * (1 - math.exp(-day * 4)),
        lambda day: 2 * cycle(day - 0.25),
        lambda day: 2 * cycle(day - 0.25) + 0.012 * (1 - math.exp(-day * 3)),
        lambda day: 0.03 * (day > 0.4) + 0.01 * (day > 0.6),
        lambda day: 0.004 * (day * 24 % 5) / 5,
        lambda day: 0.1 * (1 - math.exp(-day * 4)),
    ],
    ids=["warm-up", "cycle", "both", "steps", "sawtooth", "a large warm-up"],
)
def test_in_the_first_days_ordinary_fluctuation_is_not_a_leak(shape: Callable[[float], float]) -> None:
    series = quarters(shape, 1.5)
    for end in range(len(series)):
        assert trend.steady(series[:end], TOTAL) is None, f"after {end / DAY:.1f} days"


def test_a_fast_leak_exhausts_memory_soon() -> None:
    found = trend.growth(minutes(lambda minute: 40e6 * minute), TOTAL, 8 * GIB, 4.0)
    assert found.method == "fast"
    assert found.slope == pytest.approx(40e6 / 60, rel=0.02)
    assert found.exhaustion(8 * GIB) == pytest.approx(8 * GIB / (40e6 / 60), rel=0.02)


@pytest.mark.fault(140)
@pytest.mark.parametrize(
    ("interval", "within"),
    [
        *((interval, 5.5) for interval in (0.1, 1, 2.4, 5, 7, 14, 16, 30, 37)),
        *((45, 11), (60, 11), (120, 21), (280, 41), (400, 62), (590, 91), (600, 91)),
    ],
)
def test_a_fast_leak_is_found_at_any_interval(interval: float, within: float) -> None:
    """A leak of 10 % of RAM in five minutes; at longer intervals the shortest span has eight of them."""
    shape = lambda minute: 0.02 * TOTAL * minute  # noqa: E731
    found = next(m for m in (_leak_after(w) for w in every(interval, shape, within + 30)) if m is not None)
    assert found <= within


def _leak_after(window: Window) -> float | None:
    """Return the minutes since the window's first point if the growth is a fast leak."""
    found = trend.growth(window, TOTAL, 8 * GIB, 1000.0)
    return (window.fast[-1].at - 1000.0) / 60 if found.method == "fast" else None


@pytest.mark.fault(140)
@pytest.mark.parametrize("interval", [1, 2.4, 10, 20, 60, 300, 600])
@pytest.mark.parametrize(
    "shape",
    [
        lambda minute: 4e9 if minute > 30 else 0.0,
        lambda minute: 4e9 * (1 - math.exp(-minute / 3)),
        lambda minute: 4e9 * (minute % 10) / 10,
        lambda minute: 2e8 * math.sin(minute),
    ],
    ids=["a step", "a warm-up", "a saw", "a swing"],
)
def test_a_burst_is_not_a_fast_leak_at_any_interval(interval: float, shape: Callable[[float], float]) -> None:
    for number, window in enumerate(every(interval, shape, 90 if interval < 60 else 600)):
        if number % max(int(20 / interval), 1) == 0 and window.fast[-1].at > 1660:  # a first tooth is a leak until it ends
            assert trend.fast(window, TOTAL, 8 * GIB, 4.0) is None, f"after {window.fast[-1].at - 1000:.0f} s"


def test_no_forecast_is_longer_than_four_times_the_observed_span() -> None:
    window = minutes(lambda minute: 4e6 * minute)
    assert not trend.growth(window, TOTAL, 8 * GIB, 4.0).is_leak
    assert trend.growth(window, TOTAL, 8 * GIB, 100.0).is_leak


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
    for number in range(10, HOUR_OF_POINTS + 1, 5):
        assert not trend.growth(minutes(shape, number), TOTAL, 8 * GIB, 4.0).is_leak


def test_the_second_tooth_of_a_saw_is_not_a_fast_leak() -> None:
    for number in range(22, HOUR_OF_POINTS + 1):
        assert not trend.growth(minutes(lambda minute: 4e9 * (minute % 10) / 10, number), TOTAL, 8 * GIB, 4.0).is_leak


def test_without_growth_there_is_no_exhaustion() -> None:
    assert trend.growth(minutes(lambda _: 0.0), TOTAL, GIB, 4.0).exhaustion(GIB) == math.inf
    assert trend.growth(Window(), TOTAL, GIB, 4.0).exhaustion(GIB) == math.inf


def test_theil_sen_is_robust_against_a_quarter_of_outliers() -> None:
    series = [(float(i), 2.0 * i if i % 4 else 1e9) for i in range(41)]
    assert theil_sen(series) == pytest.approx(2.0, abs=0.5)
