"""Simulates fleets of 10 to 10,000 hosts with the agents' own choice of peers, and writes the tables of fleet.md.

`.venv/bin/python docs/simulate_fleet.py` (a few minutes). The numbers are drawn from a fixed seed: whoever runs it gets the same tables.
"""

from __future__ import annotations

import math
import random
import re
import statistics
from concurrent.futures import ProcessPoolExecutor
from hashlib import blake2b
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from collectors.probe.collector import SPREAD
from collectors.probe.judge import LOSSY
from collectors.probe.metrics import Series
from collectors.probe.reasons import Outcome, Reason
from collectors.probe.record import BUCKETS, WINDOW, Record
from collectors.probe.rendezvous import choose
from collectors.probe.settings import ProbeSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Hosts = list[tuple[str, str]]

HERE = Path(__file__)
PAGE = HERE.with_name("fleet.md")
SIZES = (10, 100, 1000, 10_000)
QUICK = SIZES[:3]  # what the test makes again
TRIALS = 1000
LOSS = 0.05
MANY = 2000  # hosts, from which on more than one process is worth it

_SETTINGS = ProbeSettings()
K, EVERY, TIMEOUT, CRITICAL = _SETTINGS.mesh_peers, _SETTINGS.every, _SETTINGS.timeout, _SETTINGS.failures_until_critical


class Fleet(NamedTuple):
    """A fleet whose agents have chosen: zone by host, peers by agent, watchers by host."""

    zones: dict[str, str]
    peers: dict[str, list[str]]
    watchers: dict[str, list[str]]


def hosts(number: int) -> Hosts:
    """Make so many hosts in three zones."""
    return [(f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}:22", "abc"[at % 3]) for at in range(number)]


def fleet(members: Hosts) -> Fleet:
    """Let every agent choose, as it does itself."""
    names = [name for name, _ in members]
    if len(members) < MANY:
        chosen = list(map(peers_of, names, repeat(members)))
    else:
        with ProcessPoolExecutor() as pool:
            chosen = list(pool.map(peers_of, names, repeat(members), chunksize=1250))
    watchers: dict[str, list[str]] = {name: [] for name in names}
    for agent, peers in zip(names, chosen, strict=True):
        for peer in peers:
            watchers[peer].append(agent)
    return Fleet(dict(members), dict(zip(names, chosen, strict=True)), watchers)


def peers_of(agent: str, members: Hosts) -> list[str]:
    """Choose for one agent."""
    return choose(agent, [host for host in members if host[0] != agent], K)


def shape(members: Hosts, found: Fleet) -> list[str]:
    """Say who watches whom, and what it costs."""
    number = len(members)
    degrees = [len(watchers) for watchers in found.watchers.values()]
    zones = [len({found.zones[peer] for peer in peers}) for peers in found.peers.values()]
    after = fleet([*members, ("10.255.255.255:22", "a")])
    changed = sum(found.peers[name] != after.peers[name] for name, _ in members)
    per_host = series() * min(K, number - 1)
    return [
        f"{number:,}",
        f"{min(K, number - 1)}",
        f"{min(degrees)} / {statistics.mean(degrees):.0f} / {max(degrees)}",
        f"{unwatched(number):.1e}" if unwatched(number) else "0",
        str(sum(degree == 0 for degree in degrees)),
        str(min(zones)),
        f"{per_host:,}",
        f"{per_host * number:,}",
        f"{statistics.mean(degrees) / EVERY:.1f}",
        str(changed),
    ]


def unwatched(number: int) -> float:
    """Compute the probability that nobody at all chooses a given host, with each agent's choice a fair draw."""
    return (1 - min(K, number - 1) / (number - 1)) ** (number - 1)


def series() -> int:
    """Count the series of one target as Prometheus does: a histogram has a bucket each, a sum and a count. The verdict is one more."""
    record = Record().after(Outcome(Reason.ANSWERED, rtt=100, seconds=0.1), 0.0)
    metrics = list(Series("10.0.0.1:22").measure(record))
    return 1 + sum(len(BUCKETS) + 3 if metric.family.buckets else 1 for metric in metrics)


def seen(members: Hosts, found: Fleet) -> list[str]:
    """Say how soon and how surely faults are seen by an agent's own verdict."""
    luck = random.Random(len(members))  # noqa: S311 — a simulation, and the same one each time
    names = [name for name, _ in members]
    dead = [first(luck, found.watchers[luck.choice(names)], until_dead) for _ in range(TRIALS)]
    zone = [name for name in names if found.zones[name] == "a"]
    living = {name: [watcher for watcher in found.watchers[name] if found.zones[watcher] != "a"] for name in zone}
    together = [max(first(luck, living[name], until_dead) for name in zone if living[name]) for _ in range(max(1, TRIALS // len(members)))]
    lossy = [first(luck, found.watchers[luck.choice(names)], until_lossy) for _ in range(TRIALS)]
    fewest = min(map(len, found.watchers.values()))
    error = math.sqrt(LOSS * (1 - LOSS) / max(1, fewest * 900 / EVERY))
    return [
        f"{len(members):,}",
        share(math.isfinite(time) for time in dead),
        f"{quantile(dead, 0.5):.0f} s / {quantile(dead, 0.99):.0f} s",
        share(bool(watchers) for watchers in living.values()),
        f"{quantile(together, 0.5):.0f} s",
        f"{quantile(lossy, 0.5) / 60:.1f} min / {quantile(lossy, 0.99) / 60:.1f} min",
        share(time <= 600 for time in lossy),  # noqa: PLR2004 — ten minutes, the window of the verdict
        f"5 % ± {1.96 * error:.1%}".replace("%", " %").replace("  ", " "),
    ]


def first(luck: random.Random, watchers: Sequence[str], until: Callable[[random.Random], float]) -> float:
    """Say after how many seconds the first of these agents says so; never, where nobody watches."""
    return min((until(luck) for _ in watchers), default=math.inf)


def until_dead(luck: random.Random) -> float:
    """Say when one agent's verdict is critical: CRITICAL sweeps after the death, the last of them over and published."""
    start, offset = luck.random() * EVERY, luck.random() * SPREAD * (EVERY - TIMEOUT)
    if start + offset > EVERY:  # this sweep's probe had left before
        start -= EVERY
    return start + (CRITICAL - 1) * EVERY + max(SPREAD * (EVERY - TIMEOUT), offset + TIMEOUT)


def until_lossy(luck: random.Random) -> float:
    """Say when LOSSY of one agent's last WINDOW connects needed a second SYN, of a host that loses LOSS of them."""
    lossy = LOSS * (1 - LOSS)  # the first SYN lost and the second not: before the timeout there is no third
    sweep, hits = 0, list[int]()
    while True:
        sweep += 1 + int(math.log(1.0 - luck.random()) / math.log(1.0 - lossy))
        hits = [hit for hit in hits if sweep - hit < WINDOW] + [sweep]
        if len(hits) >= LOSSY:
            return sweep * EVERY


def quantile(times: Sequence[float], part: float) -> float:
    """Give a quantile by nearest rank."""
    return sorted(times)[math.ceil(len(times) * part) - 1]


def share(found: Iterable[bool]) -> str:
    """Spell how many of all are so."""
    all_of_them = list(found)
    return f"{sum(all_of_them) / len(all_of_them):.2%}".replace("%", " %").replace(".00", "")


SHAPE = (
    "hosts", "peers each", "watched by: fewest / mean / most", "P(a host is unwatched)", "unwatched here", "zones an agent sees, at least",
    "series a host", "series of the fleet", "probes/s a host gets", "agents that change when one host joins",
)  # fmt: skip
SEEN = (
    "hosts", "dead host seen", "critical after: median / p99", "of a dead zone's hosts seen", "all of them critical after",
    "5 % of SYNs lost, first warning: median / p99", "within 10 min", "loss by all its agents in 15 min, 95 %",
)  # fmt: skip


def rows(number: int) -> tuple[str, str]:
    """Make both tables' row for a fleet of that size."""
    members = hosts(number)
    found = fleet(members)
    return _row(shape(members, found)), _row(seen(members, found))


def made_from() -> str:
    """Name what the largest fleet's rows depend on, so that a test can tell whether they are old without making them."""
    source = (HERE.parents[1] / "collectors/probe/rendezvous.py").read_bytes()
    settings = repr((K, EVERY, TIMEOUT, CRITICAL, LOSSY, WINDOW, SPREAD, TRIALS, LOSS))
    return blake2b(source + settings.encode(), digest_size=8).hexdigest()


def page(text: str, made: Sequence[tuple[str, str]]) -> str:
    """Put the tables between the page's markers."""
    for marker, headings, at in (("shape", SHAPE, 0), ("seen", SEEN, 1)):
        table = "\n".join([_row(headings), "|" + "---|" * len(headings), *(row[at] for row in made)])
        begin = text.index(f"<!-- {marker} -->")
        text = f"{text[:begin]}<!-- {marker} -->\n{table}\n{text[text.index('<!-- end -->', begin) :]}"
    return re.sub(r"<!-- made from .* -->", f"<!-- made from {made_from()} -->", text)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(), [rows(number) for number in SIZES]))


if __name__ == "__main__":
    main()
