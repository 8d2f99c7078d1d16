"""How often the trend finds a leak, and how often it cries wolf: synthetic hosts for a week, beside the PromQL rules people write.

    python bench/leaks.py [--hosts 1000] [--seed 1] [--noise 1.0]

A host's held memory is the sum of what is listed in `Host`; half of the hosts leak. Everything is drawn from one seed, so a run can be
repeated. `fast` is looked at every 5 minutes instead of every 30 s (it costs 19 in 20 of the time); that can only make us find less.
PromQL's `deriv` and `predict_linear` are least squares over the range (promql/functions.go, linearRegression), done here on the same points.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from collectors.memory.trend import Growth, days, fast, hours
from collectors.memory.window import FAST, QUARTER, SLOW, Point, Window

TOTAL = 16 << 30
STEP = 30
WEEK = 7 * 86400 // STEP
HOUR = 3600 // STEP
DAY = 86400 // STEP


@dataclass
class Host:
    held: list[int]
    leak_from: int | None  # tick
    leak_a_day: float  # share of RAM


def host(seed: str, *, leaks: bool, noise: float) -> Host:
    rng = random.Random(seed)
    base = rng.uniform(0.01, 0.06)
    white = noise * 10 ** rng.uniform(-5, -4)  # 0.001 % to 0.01 % of RAM
    wander, memory = noise * 10 ** rng.uniform(-4.3, -3.3), rng.uniform(0.5, 6) * HOUR  # 0.005 % to 0.05 %, over half an hour to six hours
    cycle = rng.uniform(0.0005, 0.005) if rng.random() < 0.8 else 0.0  # peak to peak
    phase, second = rng.random() * DAY, rng.uniform(0, 0.3)
    monday = rng.randrange(7)
    day_factor = [rng.uniform(0.8, 1.2) * (0.5 if (monday + day) % 7 >= 5 else 1.0) for day in range(9)]
    warm, warm_for = (rng.uniform(0.002, 0.02), rng.uniform(1, 8) * HOUR) if rng.random() < 0.5 else (0.0, 1.0)
    tooth, period = (rng.uniform(0.0005, 0.003), int(rng.uniform(1, 8) * HOUR)) if rng.random() < 0.25 else (0.0, 1)
    steps = [0.0] * (WEEK + 1)
    at = rng.expovariate(0.5 / DAY)
    while at < WEEK:
        size = 10 ** rng.uniform(-3.3, -2) * rng.choice((1, 1, -0.3))
        steps[int(at)] += size
        end = at + rng.expovariate(1 / (8 * HOUR))
        if end < WEEK and size > 0:
            steps[int(end)] -= size
        at += rng.expovariate(0.5 / DAY)
    level = list(accumulate(steps))
    leak_from = int(rng.uniform(1.6, 6.4) * DAY) if leaks else None
    leak_a_day = 10 ** rng.uniform(-2, -0.7) if leaks else 0.0
    keep, kick = math.exp(-1 / memory), wander * math.sqrt(1 - math.exp(-2 / memory))
    drift, gauss, held = rng.gauss(0, wander), rng.gauss, []
    for t in range(WEEK):
        drift = drift * keep + gauss(0, kick)
        share = base + drift + level[t]
        if cycle:
            turn = 2 * math.pi * (t + phase) / DAY
            day, part = divmod((t + phase) / DAY, 1)
            factor = day_factor[int(day)] * (1 - part) + day_factor[int(day) + 1] * part
            share += factor * cycle / 2 * (math.sin(turn) + second * math.sin(2 * turn))
        if warm:
            share += warm * (1 - math.exp(-t / warm_for))
        if tooth:
            share += tooth * (t % period) / period
        if leak_from is not None and t > leak_from:
            share += leak_a_day * (t - leak_from) / DAY
        held.append(int(TOTAL * (share + gauss(0, white))))
    return Host(held, leak_from, leak_a_day)


def ours(one: Host) -> tuple[int | None, int | None, str]:
    """First tick that was sure (before the leak: a false alarm), first tick of a warning, and which look."""
    slow: list[Point] = []
    per = int(QUARTER) // STEP
    first, warned, how = None, None, ""
    spare = int(TOTAL * 0.6)
    for t in range(10, WEEK, 10):
        window = Window(tuple(Point(i * STEP, one.held[i]) for i in range(max(t - FAST, 0), t)), tuple(slow), None)
        available = max(spare - one.held[t - 1], 0)
        look: Growth | None = fast(window, TOTAL, available, 4.0)
        if t % per == 0:
            least = min(range(t - per, t), key=one.held.__getitem__)
            slow = (slow + [Point(least * STEP, one.held[least])])[-SLOW:]
            look = look or hours(slow, TOTAL) or days(slow, TOTAL)
        if look is not None:
            if first is None:
                first, how = t, look.how
            if look.exhaustion(available) < 86400:
                warned = warned or t
            if warned or look.exhaustion(available) == math.inf:
                break
            if first is not None and one.leak_from is None:
                break
            if one.leak_from is not None and first is not None and t > first + DAY:
                break
    return first, warned, how


def promql(one: Host, span: int, least: float) -> tuple[int | None, int | None]:
    """`deriv(held[span]) > least` and `predict_linear(available[span], 86400) < 0`, every 5 minutes, each held for an hour (`for: 1h`)."""
    sums, moments = [0.0], [0.0]
    for t, value in enumerate(one.held):
        sums.append(sums[-1] + value)
        moments.append(moments[-1] + t * value)
    spread = span * (span * span - 1) / 12
    found: list[int | None] = [None, None]
    since: list[int | None] = [None, None]
    for t in range(span, WEEK, 10):
        total, moment = sums[t] - sums[t - span], moments[t] - moments[t - span]
        centre = t - (span + 1) / 2
        slope = (moment - centre * total) / spread  # bytes a tick
        now = total / span + slope * (t - 1 - centre)
        for i, true in enumerate((slope / STEP > least, TOTAL * 0.6 - now - slope * DAY < 0)):
            since[i] = (t if since[i] is None else since[i]) if true else None
            if found[i] is None and since[i] is not None and t - since[i] >= HOUR:  # type: ignore[operator]
                found[i] = t
    return found[0], found[1]


def week(job: tuple[int, int, bool, float]) -> dict[str, object]:
    seed, number, leaks, noise = job
    one = host(f"{seed}/{number}/{leaks}", leaks=leaks, noise=noise)
    first, warned, how = ours(one)
    rules = {f"deriv[{h}h]": promql(one, h * HOUR, 0.01 * TOTAL / 86400) for h in (1, 6)}
    return {"from": one.leak_from, "a_day": one.leak_a_day, "first": first, "warned": warned, "how": how, "rules": rules}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--noise", type=float, default=1.0)
    args = parser.parse_args()
    jobs = [(args.seed, n, n % 2 == 0, args.noise) for n in range(args.hosts)]
    begun = time.monotonic()
    with ProcessPoolExecutor(2) as pool:
        results = list(pool.map(week, jobs, chunksize=4))
    leaky, calm = [r for r in results if r["from"] is not None], [r for r in results if r["from"] is None]

    def say(name: str, first: list[tuple[int | None, int | None]], calm_first: list[int | None]) -> None:
        early = sum(1 for t, start in first if t is not None and start is not None and t <= start)
        delays = sorted(
            (t - start) / HOUR if t is not None and start is not None and t > start else math.inf
            for t, start in first
            if not (t is not None and start is not None and t <= start)
        )
        within = sum(1 for delay in delays if delay <= 12)
        false = sum(1 for t in calm_first if t is not None)
        print(
            f"{name:34} found within 12 h {within}/{len(delays)} = {within / max(len(delays), 1):6.1%}   median {delays[len(delays) // 2]:4.1f} h   "
            f"false on calm hosts {false}/{len(calm_first)} host-weeks = {100 * false / max(len(calm_first), 1):5.2f} per 100   (false before the leak: {early})"
        )

    def column(key: str) -> tuple[list, list]:  # type: ignore[type-arg]
        return [(r[key], r["from"]) for r in leaky], [r[key] for r in calm]

    print(
        f"{len(leaky)} leaking and {len(calm)} calm hosts, a week each at {STEP} s, noise x{args.noise}, {time.monotonic() - begun:.0f} s"
    )
    say("vitald: sure of a leak", *column("first"))
    say("vitald: warning (end in a day)", *column("warned"))
    for rule in leaky[0]["rules"]:  # type: ignore[attr-defined]
        for i, what in enumerate(("> 1 % of RAM a day", "predict_linear 24h < 0")):
            say(f"{rule} {what}", [(r["rules"][rule][i], r["from"]) for r in leaky], [r["rules"][rule][i] for r in calm])  # type: ignore[index]
    missed = [r for r in leaky if r["first"] is None or (r["first"] > r["from"] + 12 * HOUR)]
    print("missed or late, % of RAM a day: " + " ".join(f"{100 * r['a_day']:.1f}" for r in sorted(missed, key=lambda r: r["a_day"])[:40]))
    print(
        "false alarms by look: "
        + str(
            [r["how"] for r in calm if r["first"] is not None]
            + [r["how"] for r in leaky if r["first"] is not None and r["first"] <= r["from"]]
        )
    )


if __name__ == "__main__":
    main()
