"""Traffic as hosts have it, made up: `python -m tests.collectors.nic.checks.synthetic_traffic DAYS` prints how often each shape raises `nic_stall`.

A sample every 10 s, as the collector takes them. Beside the traffic there is what a healthy fleet has anyway: some loss always, more of it
in episodes, stray bursts of retransmissions, and a peer that is down for a while and answers none of the probes.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.nic.checks.stall import fallen, stall_verdict
from collectors.nic.readers.counters import Counters
from collectors.nic.readers.sysfs import Device, Link, Traffic
from collectors.nic.readers.tcp_counters import Tcp
from collectors.nic.reading import Nic, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("diurnal", "jobs", "bursts", "deployments", "drained")
LINK = Link("ens5", 2, 9001, up=True, carrier=True, carrier_changes=2, device=Device(physical=True, driver="ena", module="ena"))
DAY = 8640  # samples
KEPT = 60
_PROBES = 40  # connections begun in 10 s by the probes
_OUTAGE = 12  # samples that a planted stall lasts


@dataclass
class Count:
    """What became of a course."""

    samples: int = 0
    falls: int = 0
    false: int = 0
    planted: int = 0
    found: int = 0


def rates(kind: str, dice: random.Random) -> Iterator[float]:
    """Give bytes a second for ever: nights, batch jobs, bursts, deployments, hosts taken out of a load balancer for minutes."""
    for at in itertools.count():
        if kind == "diurnal":
            yield 40e6 * (0.01 if (at // 2160) % 2 else 1.0) * dice.uniform(0.5, 1.5)
            continue
        loud = {"jobs": dice.choice([0.0, 1e3, 5e6, 80e6, 600e6]), "bursts": dice.choice([0.0, 300e6])}.get(kind, 60e6)
        for _ in range(dice.randint(3, 120)):
            yield loud * dice.uniform(0.8, 1.2)
        if kind in {"deployments", "drained"}:
            for _ in range(dice.randint(2, 30) if kind == "deployments" else dice.randint(20, 200)):
                yield 0.0 if kind == "deployments" else dice.uniform(0.0, 2e4)


def course(kind: str, steps: int, dice: random.Random, stalls: float = 0.0) -> Iterator[tuple[Sample, bool]]:
    """Give samples, and whether the path is dead in each; `stalls` is the chance of a stall at each sample of loud traffic."""
    at = received = sent = again = opened = syns = 0
    lossy = down = dead = 0  # samples that each goes on for
    for rate in itertools.islice(rates(kind, dice), steps):
        lossy, down, dead = max(0, lossy - 1), max(0, down - 1), max(0, dead - 1)
        lossy = lossy or (dice.randint(6, 60) if dice.random() < 0.0005 else 0)
        down = down or (dice.randint(6, 90) if dice.random() < 0.001 else 0)
        dead = dead or (_OUTAGE if rate > 1e6 and dice.random() < stalls else 0)
        flowing = dice.uniform(0, 1500) if dead else rate
        segments = int(flowing * 10 / 1400) + dice.randint(5, 60)
        lost = int(segments * (0.03 if lossy else 0.002) * dice.random()) + (dice.randint(1, 3) if dice.random() < 0.02 else 0)
        begun = _PROBES + (0 if dead else dice.randint(0, 40))
        unanswered = _PROBES if dead else (2 if down else 0)
        if dead:  # each of some connections sends again at 0.2, 0.4, 0.8 … s
            lost += dice.randint(2, 30) * (5 if dead == _OUTAGE else 1)
        at, received, sent = at + 10, received + int(flowing * 10), sent + segments + lost + begun + unanswered
        again, opened, syns = again + lost + unanswered, opened + begun, syns + unanswered
        seen = Sample(
            float(at),
            Tcp(sent, again, opened, syns),
            traffic={"ens5": Traffic(received, 0)},
            counters={"ens5": Counters(resets={"tx_timeout": 0})},
            carrier_changes={"ens5": 2},
        )
        yield seen, dead > 0


def follow(kind: str, days: float, seed: str, stalls: float = 0.0) -> Count:
    """Judge a course sample by sample, as the collector does. A stall counts as found if it was critical while it lasted."""
    count, kept = Count(), deque[Sample](maxlen=KEPT)
    was_dead, seen_it, quiet_until = False, False, 0.0
    for sample, dead in course(kind, int(days * DAY), random.Random(f"{seed} {kind}"), stalls):  # noqa: S311 — the same course each time
        kept.append(sample)
        window = tuple(kept)
        count.samples += 1
        fell = fallen("ens5", window) is not None
        critical = fell and stall_verdict(Nic(LINK), window).level > 0
        count.falls += fell
        if dead and not was_dead:
            count.planted, seen_it = count.planted + 1, False
        if dead and critical and not seen_it:
            count.found, seen_it = count.found + 1, True
        quiet_until = sample.at + 10 * KEPT if dead else quiet_until  # it stays until traffic flows again, or the plateau is forgotten
        count.false += critical and sample.at > quiet_until
        was_dead = dead
    return count


def main() -> None:
    """Print a line for each shape."""
    days = float(sys.argv[1]) if sys.argv[1:] else 10.0
    for kind in KINDS:
        quiet, ill = follow(kind, days, "quiet"), follow(kind, days / 10, "ill", 0.001)
        print(
            f"{kind}: {days:g} host-days, {quiet.falls} samples of fallen traffic, {quiet.false} false alarms; "
            f"of {ill.planted} dead paths {ill.found} were found, {ill.false} false alarms beside them",
            flush=True,
        )


if __name__ == "__main__":
    main()
