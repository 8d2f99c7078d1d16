"""Synthetic traffic: `python -m tests.collectors.nic.checks.synthetic_traffic DAYS` prints how often each kind raises `nic_stall`.

A sample every 10 s, as the collector takes them. Beside the traffic there is what a healthy fleet has anyway: constant slight loss,
episodes of more, single bursts of retransmissions, and a peer that is down for a while and answers no probe.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.nic.checks.stall import find_collapse, stall_verdict
from collectors.nic.readers.counters import DriverCounters
from collectors.nic.readers.sysfs import ByteCounters, Device, LinkState
from collectors.nic.readers.tcp_counters import TcpCounters
from collectors.nic.reading import Nic
from collectors.nic.samples import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("diurnal", "jobs", "bursts", "deployments", "drained")
LINK = LinkState("ens5", 2, 9001, up=True, carrier=True, carrier_changes=2, device=Device(physical=True, driver="ena", module="ena"))
DAY = 8640  # samples
KEPT = 60
_PROBES = 40  # connections begun in 10 s by the probes
_OUTAGE = 12  # samples that an injected stall lasts


@dataclass
class CourseResult:
    """Result of a course."""

    samples: int = 0
    collapses: int = 0
    false: int = 0
    injected: int = 0
    found: int = 0


def rates(kind: str, dice: random.Random) -> Iterator[float]:
    """Yield bytes per second without end: nights, batch jobs, bursts, deployments, hosts removed from a load balancer for minutes."""
    for at in itertools.count():
        if kind == "diurnal":
            yield 40e6 * (0.01 if (at // 2160) % 2 else 1.0) * dice.uniform(0.5, 1.5)
            continue
        high = {"jobs": dice.choice([0.0, 1e3, 5e6, 80e6, 600e6]), "bursts": dice.choice([0.0, 300e6])}.get(kind, 60e6)
        for _ in range(dice.randint(3, 120)):
            yield high * dice.uniform(0.8, 1.2)
        if kind in {"deployments", "drained"}:
            for _ in range(dice.randint(2, 30) if kind == "deployments" else dice.randint(20, 200)):
                yield 0.0 if kind == "deployments" else dice.uniform(0.0, 2e4)


def course(kind: str, steps: int, dice: random.Random, stalls: float = 0.0) -> Iterator[tuple[Sample, bool]]:
    """Yield samples, each with True if the path is dead; `stalls` is the probability of a stall at each sample of high traffic."""
    at = received = sent = retrans = opened = syns = 0
    lossy = down = dead = 0  # samples that each continues for
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
        if dead:  # some connections retransmit at 0.2, 0.4, 0.8 … s
            lost += dice.randint(2, 30) * (5 if dead == _OUTAGE else 1)
        at, received, sent = at + 10, received + int(flowing * 10), sent + segments + lost + begun + unanswered
        retrans, opened, syns = retrans + lost + unanswered, opened + begun, syns + unanswered
        sample = Sample(
            float(at),
            TcpCounters(sent, retrans, opened, syns),
            byte_counters={"ens5": ByteCounters(received, 0)},
            counters={"ens5": DriverCounters(resets={"tx_timeout": 0})},
            carrier_changes={"ens5": 2},
        )
        yield sample, dead > 0


def follow(kind: str, days: float, seed: str, stalls: float = 0.0) -> CourseResult:
    """Judge a course sample by sample, as the collector does. A stall is found if it was critical while it lasted."""
    result, kept = CourseResult(), deque[Sample](maxlen=KEPT)
    was_dead, is_found, excused_until = False, False, 0.0
    for sample, dead in course(kind, int(days * DAY), random.Random(f"{seed} {kind}"), stalls):  # noqa: S311 — the same course each time
        kept.append(sample)
        window = tuple(kept)
        result.samples += 1
        collapsed = find_collapse("ens5", window) is not None
        critical = collapsed and stall_verdict(Nic(LINK), window).level > 0
        result.collapses += collapsed
        if dead and not was_dead:
            result.injected, is_found = result.injected + 1, False
        if dead and critical and not is_found:
            result.found, is_found = result.found + 1, True
        # it remains until traffic flows again, or the plateau has left the samples
        excused_until = sample.at + 10 * KEPT if dead else excused_until
        result.false += critical and sample.at > excused_until
        was_dead = dead
    return result


def main() -> None:
    """Print a line for each kind."""
    days = float(sys.argv[1]) if sys.argv[1:] else 10.0
    for kind in KINDS:
        healthy, faulty = follow(kind, days, "quiet"), follow(kind, days / 10, "ill", 0.001)
        print(
            f"{kind}: {days:g} host-days, {healthy.collapses} samples of collapsed traffic, {healthy.false} false alarms; "
            f"of {faulty.injected} dead paths {faulty.found} were found, {faulty.false} false alarms beside them",
            flush=True,
        )


if __name__ == "__main__":
    main()
