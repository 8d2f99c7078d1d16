"""Synthetic hosts for `bench leaks`: a week of unreclaimable memory, a point every 30 s, with or without a leak, drawn from a seed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import accumulate

TOTAL = 16 << 30  # bytes
SPARE = 0.6  # of TOTAL, for the kernel to grow into
STEP = 30  # seconds
HOUR, DAY, WEEK = 3600 // STEP, 86400 // STEP, 7 * 86400 // STEP  # ticks


@dataclass(frozen=True, slots=True)
class SyntheticHost:
    """`unreclaimable` is bytes by tick; `leak_from` the tick where a leak begins, `leak_a_day` its share of RAM a day, if it leaks."""

    unreclaimable: list[int]
    leak_from: int | None = None
    leak_a_day: float = 0.0


LATER, YOUNG = (1.6, 6.4), (0.0, 1.5)  # days after boot: a leak begins when there are earlier days to compare with, or before


def host(seed: str, *, leaks: bool, begins: tuple[float, float] = LATER) -> SyntheticHost:
    """Draw a host: base, noise, wandering and, for some, a daily cycle, a warm-up, a sawtooth, jobs that begin and end; then the leak.

    The leak begins within `begins` (days), at 1 % to 20 % of RAM a day, evenly drawn on a logarithmic scale.
    """
    dice = random.Random(seed)  # noqa: S311 — a draw that can be repeated, no secret
    shares = _noise(dice)
    for add in (_cycle(dice), _warm_up(dice), _sawtooth(dice), _jobs(dice)):
        shares = [share + more for share, more in zip(shares, add, strict=True)] if add else shares
    if not leaks:
        return SyntheticHost([int(TOTAL * share) for share in shares])
    begin, a_day = int(dice.uniform(*begins) * DAY), 10 ** dice.uniform(-2, math.log10(0.2))
    return SyntheticHost([int(TOTAL * (share + a_day * max(t - begin, 0) / DAY)) for t, share in enumerate(shares)], begin, a_day)


def _noise(dice: random.Random) -> list[float]:
    """White noise of 0.001 % to 0.01 % of RAM, and a wandering of 0.005 % to 0.05 % with a memory of half an hour to six hours."""
    base, white = dice.uniform(0.01, 0.06), 10 ** dice.uniform(-5, -4)
    wander, memory = 10 ** dice.uniform(-4.3, -3.3), dice.uniform(0.5, 6) * HOUR
    keep, kick = math.exp(-1 / memory), wander * math.sqrt(1 - math.exp(-2 / memory))
    drift, shares = dice.gauss(0, wander), []
    for _ in range(WEEK):
        drift = drift * keep + dice.gauss(0, kick)
        shares.append(base + drift + dice.gauss(0, white))
    return shares


def _cycle(dice: random.Random) -> list[float]:
    """Draw, for four in five, a daily cycle of 0.05 % to 0.5 % from low to high, no two days alike, half as high at weekends."""
    high, phase, second = dice.uniform(0.0005, 0.005), dice.random() * DAY, dice.uniform(0, 0.3)
    monday = dice.randrange(7)
    factors = [dice.uniform(0.8, 1.2) * (0.5 if (monday + day) % 7 >= 5 else 1.0) for day in range(9)]
    if dice.random() < 0.2:
        return []
    found = []
    for t in range(WEEK):
        turn = 2 * math.pi * (t + phase) / DAY
        day, part = divmod((t + phase) / DAY, 1)
        factor = factors[int(day)] * (1 - part) + factors[int(day) + 1] * part
        found.append(factor * high / 2 * (math.sin(turn) + second * math.sin(2 * turn)))
    return found


def _warm_up(dice: random.Random) -> list[float]:
    """Draw, for every other, caches that fill after boot: 0.2 % to 2 % over some hours."""
    size, slowness = dice.uniform(0.002, 0.02), dice.uniform(1, 8) * HOUR
    return [size * (1 - math.exp(-t / slowness)) for t in range(WEEK)] if dice.random() < 0.5 else []


def _sawtooth(dice: random.Random) -> list[float]:
    """Draw, for one in four, teeth of 0.05 % to 0.3 %, one to eight hours long."""
    tooth, period = dice.uniform(0.0005, 0.003), int(dice.uniform(1, 8) * HOUR)
    return [tooth * (t % period) / period for t in range(WEEK)] if dice.random() < 0.25 else []


def _jobs(dice: random.Random) -> list[float]:
    """Draw, every other day on average, a step of 0.05 % to 1 %; most end after some hours, some go down for good."""
    steps, at = [0.0] * WEEK, dice.expovariate(0.5 / DAY)
    while at < WEEK:
        size, end = 10 ** dice.uniform(-3.3, -2) * dice.choice((1, 1, -0.3)), at + dice.expovariate(1 / (8 * HOUR))
        steps[int(at)] += size
        if end < WEEK and size > 0:
            steps[int(end)] -= size
        at += dice.expovariate(0.5 / DAY)
    return list(accumulate(steps))
