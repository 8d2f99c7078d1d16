"""Simulate fleets of 10 to 10,000 hosts with the peer selection of the agents, and write the tables of docs/fleet.md.

`.venv/bin/python tools/simulate_fleet.py` (a few minutes). The seed is fixed, so every run writes the same tables.
"""

from __future__ import annotations

import math
import random
import re
import statistics
import sys
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from collectors.probe.collector import SPREAD
from collectors.probe.judge import LOSSY
from collectors.probe.target_stats import WINDOW
from tools.simulated_fleet import (  # fmt: skip
    CRITICAL,
    INTERVAL,
    LOSS,
    TIMEOUT,
    Fleet,
    K,
    earliest,
    fleet,
    hosts,
    probability_without_prober,
    seconds_until_critical,
    seconds_until_warning,
    series,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tools.simulated_fleet import Hosts

HERE = Path(__file__)
PAGE = HERE.parents[1] / "docs/fleet.md"
SIZES = (10, 100, 1000, 10_000)
QUICK = SIZES[:3]  # computed again by the test
TRIALS = 1000


def topology(members: Hosts, found: Fleet) -> list[str]:
    """Return the row of the topology table: probers per host, and cost."""
    number = len(members)
    degrees = [len(probers) for probers in found.probers.values()]
    zones = [len({found.zones[peer] for peer in peers}) for peers in found.peers.values()]
    after = fleet([*members, ("10.255.255.255:22", "a")])
    changed = sum(found.peers[name] != after.peers[name] for name, _ in members)
    per_host = series() * min(K, number - 1)
    return [
        f"{number:,}",
        f"{min(K, number - 1)}",
        f"{min(degrees)} / {statistics.mean(degrees):.0f} / {max(degrees)}",
        f"{probability_without_prober(number):.1e}" if probability_without_prober(number) else "0",
        str(sum(degree == 0 for degree in degrees)),
        str(min(zones)),
        f"{per_host:,}",
        f"{per_host * number:,}",
        f"{statistics.mean(degrees) / INTERVAL:.1f}",
        str(changed),
    ]


def detection(members: Hosts, found: Fleet) -> list[str]:
    """Return the row of the detection table: delay and probability of detection by the verdicts of the agents."""
    rng = random.Random(len(members))
    names = [name for name, _ in members]
    down = [earliest(rng, found.probers[rng.choice(names)], seconds_until_critical) for _ in range(TRIALS)]
    zone = [name for name in names if found.zones[name] == "a"]
    surviving = {name: [prober for prober in found.probers[name] if found.zones[prober] != "a"] for name in zone}
    together = [
        max(earliest(rng, surviving[name], seconds_until_critical) for name in zone if surviving[name])
        for _ in range(max(1, TRIALS // len(members)))
    ]
    lossy = [earliest(rng, found.probers[rng.choice(names)], seconds_until_warning) for _ in range(TRIALS)]
    fewest = min(map(len, found.probers.values()))
    error = math.sqrt(LOSS * (1 - LOSS) / max(1, fewest * 900 / INTERVAL))
    return [
        f"{len(members):,}",
        share(math.isfinite(time) for time in down),
        f"{quantile(down, 0.5):.0f} s / {quantile(down, 0.99):.0f} s",
        share(bool(probers) for probers in surviving.values()),
        f"{quantile(together, 0.5):.0f} s",
        f"{quantile(lossy, 0.5) / 60:.1f} min / {quantile(lossy, 0.99) / 60:.1f} min",
        share(time <= 600 for time in lossy),
        f"5 % ± {1.96 * error:.1%}".replace("%", " %").replace("  ", " "),
    ]


def quantile(times: Sequence[float], part: float) -> float:
    """Return a quantile by nearest rank."""
    return sorted(times)[math.ceil(len(times) * part) - 1]


def share(found: Iterable[bool]) -> str:
    """Format a share as a percentage."""
    all_of_them = list(found)
    return f"{sum(all_of_them) / len(all_of_them):.2%}".replace("%", " %").replace(".00", "")


TOPOLOGY = (
    "hosts", "peers each", "probers of a host: fewest / mean / most", "P(host without prober)", "hosts without prober",
    "zones per agent, at least", "series per host", "series of the fleet", "probes/s per host", "agents that change when a host joins",
)  # fmt: skip
DETECTION = (
    "hosts", "host down: detected", "critical after: median / p99", "zone down: hosts detected", "all of them critical after",
    "5 % SYN loss, first warning: median / p99", "within 10 min", "loss measured by all its agents in 15 min, 95 %",
)  # fmt: skip


def rows(number: int) -> tuple[str, str]:
    """Return the rows of both tables for a fleet of that size."""
    members = hosts(number)
    found = fleet(members)
    return _row(topology(members, found)), _row(detection(members, found))


def made_from() -> str:
    """Return a digest of what the rows depend on, so that a test detects outdated ones without computing them."""
    source = (HERE.parents[1] / "collectors/probe/targets/rendezvous.py").read_bytes()
    settings = repr((K, INTERVAL, TIMEOUT, CRITICAL, LOSSY, WINDOW, SPREAD, TRIALS, LOSS))
    return blake2b(source + settings.encode(), digest_size=8).hexdigest()


def page(text: str, rows: Sequence[tuple[str, str]]) -> str:
    """Return the page with the tables between its markers replaced."""
    for marker, headings, at in (("topology", TOPOLOGY, 0), ("detection", DETECTION, 1)):
        table = "\n".join([_row(headings), "|" + "---|" * len(headings), *(row[at] for row in rows)])
        begin = text.index(f"<!-- {marker} -->")
        text = f"{text[:begin]}<!-- {marker} -->\n{table}\n{text[text.index('<!-- end -->', begin) :]}"
    return re.sub(r"<!-- made from .* -->", f"<!-- made from {made_from()} -->", text)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write docs/fleet.md."""
    PAGE.write_text(page(PAGE.read_text(), [rows(number) for number in SIZES]))


if __name__ == "__main__":
    main()
