"""Series of growth as literals."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from collectors.memory.trend.history import SIZES
from collectors.memory.trend.window import DAY, QUARTER, SLOW, Point, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


GIB = 1 << 30
TOTAL = 16 * GIB
PARTS = (0,) * len(SIZES)


def quarters(shape: Callable[[float], float], days: float, noise: float = 0.00005) -> tuple[Point, ...]:
    """Return a slow series: the shape is a share of RAM by day."""
    dice = random.Random(3)  # noqa: S311
    number = int(days * DAY)
    return tuple(Point(i * QUARTER, int(TOTAL * (0.03 + shape(i / DAY) + dice.gauss(0, noise)))) for i in range(number))[-SLOW:]


HOUR_OF_POINTS = 120  # at 30 s


def every(interval: float, shape: Callable[[float], float], minutes: float) -> Iterator[Window]:
    """Yield the window after each reading at an interval in seconds, which jitters as a scheduler's does; the shape is bytes by minute."""
    window, dice, at = Window(), random.Random(5), 0.0  # noqa: S311
    while at < 60 * minutes:
        window = window.add(Point(1000 + at, int(GIB + shape(at / 60))))
        yield window
        at += max(interval + dice.gauss(0, 0.02), 0.05)


def minutes(shape: Callable[[float], float], number: int = HOUR_OF_POINTS) -> Window:
    """Return a fast series: the shape is bytes by minute, a point every 30 s."""
    window = Window()
    for i in range(number):
        window = window.add(Point(1000 + 30.0 * i, int(GIB + shape(i / 2))))
    return window


def cycle(day: float) -> float:
    return 0.002 * math.sin(2 * math.pi * day)
