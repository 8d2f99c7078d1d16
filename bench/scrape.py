"""A scrape of 500 series: latency as Prometheus has it, vitald and node_exporter in turn on kept connections."""

from __future__ import annotations

import http.client
import math
import os
import statistics
import time
from typing import TYPE_CHECKING

from bench import peers
from bench.figures import quantile, ratio, seconds
from bench.program import BenchError
from bench.results import Row

if TYPE_CHECKING:
    from pathlib import Path

    from bench.peers import Served

ISSUE = 2
SERIES = 500
_TIMES = int(os.environ.get("VITALD_BENCH_SCRAPES", "500"))
_SETTLE = 8.0  # seconds until every collector has reported once, at its default interval


def measure(folder: Path) -> list[Row]:
    """Give vitald as many targets as make its series at least those of node_exporter, then ask both in turn."""
    with peers.node_exporter(folder, *NODE_FLAGS) as node, peers.listeners(folder, SERIES) as targets:
        wanted = max(SERIES, len(node.series()))
        with peers.vitald(folder, settings(enough(folder, targets, wanted))) as vitald:
            time.sleep(_SETTLE)
            counts = len(vitald.series()), len(node.series())
            ours, theirs = in_turn(vitald, node)
            costs = cost(vitald), cost(node)
    medians = statistics.median(ours), statistics.median(theirs)
    return [
        Row(
            f"a scrape (OpenMetrics, gzip, kept connection), median of {_TIMES} in turn",
            "≤ 1",
            f"{seconds(medians[0])} (p99 {seconds(quantile(ours, 0.99))}, {counts[0]} series)",
            f"node_exporter {seconds(medians[1])} (p99 {seconds(quantile(theirs, 0.99))}, {counts[1]} series)",
            ratio(*medians),
            medians[0] <= medians[1] and counts[0] >= SERIES,
            "" if counts[0] >= SERIES else "vitald had fewer series than 500",
        ),
        Row("CPU of one such scrape", "-", seconds(costs[0]), f"node_exporter {seconds(costs[1])}", ratio(*costs), None),
    ]


NODE_FLAGS: tuple[str, ...] = ()


def settings(targets: list[str]) -> str:
    """Probe these at the default interval."""
    return f"[probe]\ntargets = {targets!r}\n"


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


def in_turn(ours: Served, theirs: Served) -> tuple[list[float], list[float]]:
    """Scrape one, then the other, over and over; gives the seconds each took."""
    connections = [http.client.HTTPConnection("127.0.0.1", served.port, timeout=30) for served in (ours, theirs)]
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(_TIMES + 10):
        for connection, into in zip(connections, times, strict=True):
            taken = scrape(connection)
            if turn >= 10:  # the first ones warm up
                into.append(taken)
    for connection in connections:
        connection.close()
    return times


def scrape(connection: http.client.HTTPConnection) -> float:
    """Scrape once, as Prometheus does; gives the seconds until the last byte."""
    start = time.perf_counter()
    connection.request("GET", "/metrics", headers=peers.SCRAPE_HEADERS)
    answer = connection.getresponse()
    answer.read()
    taken = time.perf_counter() - start
    if answer.status != http.HTTPStatus.OK:
        msg = f"port {connection.port}: a scrape was answered with status {answer.status}"
        raise BenchError(msg)
    return taken


def cost(served: Served) -> float:
    """Give the CPU seconds that a scrape costs: those of many, less what the program uses anyway."""
    start, before = time.monotonic(), served.program.cpu_seconds()
    time.sleep(10)
    idle = (served.program.cpu_seconds() - before) / (time.monotonic() - start)
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    start, before = time.monotonic(), served.program.cpu_seconds()
    for _ in range(_TIMES):
        scrape(connection)
    used = served.program.cpu_seconds() - before - idle * (time.monotonic() - start)
    connection.close()
    return max(used, 0.0) / _TIMES
