from __future__ import annotations

import random

import pytest

from tests.kit.figures import quantile, ratio, seconds, theil_sen, thinned


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([5, 1, 4, 2, 3], 0.5) == 3
    assert quantile(range(1, 101), 0.99) == 99
    assert quantile([7], 0.99) == 7


def test_a_growing_line_has_its_slope_in_spite_of_outliers() -> None:
    noise = random.Random(7)  # noqa: S311 — noise, repeatable
    points = [(float(x), 3.0 * x + noise.gauss(0, 1) + (500 if x % 9 == 0 else 0)) for x in range(40)]
    slope = theil_sen(points)
    assert slope.median == pytest.approx(3, rel=0.05)
    assert slope.low < slope.median < slope.high
    assert not slope.flat


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_has_no_slope(seed: int) -> None:
    noise = random.Random(seed)  # noqa: S311 — noise, repeatable
    assert theil_sen([(float(x), noise.gauss(0, 1)) for x in range(40)]).flat


def test_what_never_changes_and_what_shrinks_are_flat() -> None:
    assert theil_sen([(float(x), 5.0) for x in range(20)]).flat
    assert theil_sen([(float(x), -float(x)) for x in range(20)]).flat


def test_one_step_of_a_page_in_the_middle_of_many_points_is_a_slope() -> None:
    assert not theil_sen([(float(x), 4096.0 * (x // 4)) for x in range(20)]).flat


def test_neighbours_become_one_point() -> None:
    assert thinned([(0, 1), (5, 3), (14, 2), (15, 9), (31, 4)], 15) == [(5, 2), (15, 9), (31, 4)]


def test_ratios_and_times_are_written_as_people_say_them() -> None:
    assert [ratio(1, 14.2), ratio(2, 1), ratio(1, 1), ratio(0, 1)] == ["1/14.2", "2.00", "1.00", "-"]
    assert [seconds(2.5), seconds(0.0123), seconds(0.000044), seconds(0.0000002)] == ["2.5 s", "12.3 ms", "44 µs", "0.2 µs"]
