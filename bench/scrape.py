"""A scrape of 500 series: latency as Prometheus has it, vitald and node_exporter in turn on kept connections.

vitald keeps what it rendered of a report until there is a newer one. Prometheus comes as rarely as the probes do, so every scrape
counted here must find new probes: they are made ten times a second, the scrapes five times.
"""

from __future__ import annotations

import gzip
import http.client
import math
import os
import re
import statistics
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.kit import peers
from tests.kit.figures import quantile, ratio, seconds
from tests.kit.program import BenchError
from tests.kit.results import Row

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.peers import Served

ISSUE = 2
SERIES = 500
_TIMES = int(os.environ.get("VITALD_BENCH_SCRAPES", "500"))
_PAUSE = 0.2  # seconds from turn to turn
_SETTLE = 5.0  # seconds until every collector has reported once


@dataclass
class Visitor:
    """One kept connection to one program, and its results."""

    served: Served
    times: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    idle: float = 0.0
    cpu: float = 0.0

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=30)

    def scrape(self) -> None:
        """Scrape once, as Prometheus does; store the seconds until the last byte."""
        start = time.perf_counter()
        self._connection.request("GET", "/metrics", headers=peers.SCRAPE_HEADERS)
        answer = self._connection.getresponse()
        body = answer.read()
        self.times.append(time.perf_counter() - start)
        if answer.status != http.HTTPStatus.OK or answer.will_close:
            msg = f"{self.served.program.name}: status {answer.status}, connection {'closed' if answer.will_close else 'kept'}"
            raise BenchError(msg)
        self.bodies.append(gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body)

    def fresh(self) -> float:
        """Return the share of scrapes that saw other probe counts than the one before."""
        attempts = [re.findall(rb"^vitald_probe_attempts_total.*$", body, re.MULTILINE) for body in self.bodies]
        return sum(a != b for a, b in pairwise(attempts)) / max(1, len(attempts) - 1)


def measure(folder: Path) -> list[Row]:
    """Scrape vitald, with enough targets for as many series as node_exporter has, and node_exporter in turn."""
    with peers.node_exporter(folder) as node, peers.listeners(folder, SERIES) as targets:
        wanted = max(SERIES, len(node.series()))
        with peers.vitald(folder, settings(enough(folder, targets, wanted))) as vitald:
            time.sleep(_SETTLE)
            counts = len(vitald.series()), len(node.series())
            at_once = in_turn(vitald, node, 0.0)
            ours, theirs = in_turn(vitald, node, _PAUSE)
    fair = counts[0] >= max(SERIES, counts[1]) and ours.fresh() > 0.95
    reason = "" if fair else f"not fair: {counts[0]} series, {ours.fresh():.0%} of the scrapes found new probes"
    return [
        row(
            f"a scrape with new probes each time (OpenMetrics, gzip, kept connection), median of {_TIMES} in turn",
            ours,
            theirs,
            counts,
            reason,
        ),
        row("the same with nothing new, one after the other", *at_once, counts, None),
        Row(
            "CPU of a scrape with new probes",
            "-",
            seconds(ours.cpu / _TIMES),
            f"node_exporter {seconds(theirs.cpu / _TIMES)}",
            ratio(ours.cpu, theirs.cpu),
            None,
        ),
    ]


def row(title: str, ours: Visitor, theirs: Visitor, counts: tuple[int, int], reason: str | None) -> Row:
    """Return the row of one comparison; `reason` is None where there is no bar, else why the comparison itself is invalid."""
    medians = statistics.median(ours.times), statistics.median(theirs.times)
    return Row(
        title,
        "-" if reason is None else "≤ 1",
        f"{seconds(medians[0])} (p99 {seconds(quantile(ours.times, 0.99))}, {counts[0]} series)",
        f"node_exporter {seconds(medians[1])} (p99 {seconds(quantile(theirs.times, 0.99))}, {counts[1]} series)",
        ratio(*medians),
        None if reason is None else medians[0] <= medians[1] and not reason,
        reason or "",
    )


def settings(targets: list[str]) -> str:
    """Probe these ten times a second."""
    return f'[probe]\ninterval = "100ms"\ntimeout = "90ms"\ntargets = {targets!r}\n'


def enough(folder: Path, targets: list[str], wanted: int) -> list[str]:
    """Find how many targets bring vitald to `wanted` series, by trying two numbers."""
    found = []
    for count in (2, 4):
        with peers.vitald(folder, settings(targets[:count]), name=f"try-{count}") as vitald:
            time.sleep(_SETTLE)
            found.append(len(vitald.series()))
    each = (found[1] - found[0]) / 2
    if each <= 0:
        raise BenchError("more targets made no more series")
    return targets[: 4 + max(0, math.ceil((wanted - found[1]) / each))]


def in_turn(ours: Served, theirs: Served, pause: float) -> tuple[Visitor, Visitor]:
    """Scrape one, then the other, over and over; their CPU is what they used meanwhile, less what they use anyway."""
    pair = Visitor(ours), Visitor(theirs)
    for visitor in pair:
        visitor.scrape()  # opens the connection
        visitor.times.clear()
    start, before = time.monotonic(), [visitor.served.program.cpu_seconds() for visitor in pair]
    time.sleep(10)
    for visitor, cpu in zip(pair, before, strict=True):
        visitor.idle = (visitor.served.program.cpu_seconds() - cpu) / (time.monotonic() - start)
    start, before = time.monotonic(), [visitor.served.program.cpu_seconds() for visitor in pair]
    for turn in range(1, _TIMES + 1):
        for visitor in pair if turn % 2 else reversed(pair):
            visitor.scrape()
        time.sleep(max(0.0, start + turn * pause - time.monotonic()))
    for visitor, cpu in zip(pair, before, strict=True):
        visitor.cpu = visitor.served.program.cpu_seconds() - cpu - visitor.idle * (time.monotonic() - start)
    return pair
