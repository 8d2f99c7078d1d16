"""Resident memory of `vitald run` with its defaults, scraped every 5 s, beside the two exporters it stands for."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tests.kit import peers
from tests.kit.figures import Points, per_minute, ratio, second_half, theil_sen
from tests.kit.results import Row

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.peers import Served

ISSUE = 2
BAR = 45e6  # bytes
_MINUTES = float(os.environ.get("VITALD_BENCH_MINUTES", "10"))


def measure(folder: Path) -> list[Row]:
    """Sample all three each second; the slope is that of the second half, after warm-up."""
    with (
        peers.vitald(folder) as vitald,
        peers.node_exporter(folder) as node,
        peers.blackbox(folder) as blackbox,
        peers.prometheus(folder, peers.scrape_job("all", [vitald, node, blackbox])) as prometheus,
    ):
        ours, nodes, blackboxes, family = watch([vitald, node, blackbox])
        scrapes = prometheus.number(f'sum(count_over_time(up{{instance="127.0.0.1:{vitald.port}"}}[{_MINUTES * 60:.0f}s]))')
        failed = scrapes - prometheus.number(f'sum(sum_over_time(up{{instance="127.0.0.1:{vitald.port}"}}[{_MINUTES * 60:.0f}s]))')
    most, theirs = peak(ours), peak(nodes) + peak(blackboxes)
    slope, peers_slope = (theil_sen(second_half(points)) for points in (ours, nodes))
    return [
        Row(
            f"resident memory, the most seen in {_MINUTES:g} min of `vitald run` with defaults, {scrapes:.0f} scrapes",
            "≤ 45 MB",
            f"{most / 1e6:.1f} MB",
            f"node_exporter {peak(nodes) / 1e6:.1f} MB + blackbox_exporter {peak(blackboxes) / 1e6:.1f} MB",
            ratio(most, theirs),
            most <= BAR and not failed,
            f"{failed:.0f} scrapes failed" if failed else "",
        ),
        Row(
            "the same with its children, shared pages counted once (PSS): the first start has the signatures compiled, for a second",
            "-",
            f"{peak(family) / 1e6:.1f} MB; {family[-1][1] / 1e6:.1f} MB at the end",
            "-",
            "-",
            None,
        ),
        Row(
            "its slope over the second half (Theil-Sen, 95 % interval)",
            "no slope",
            per_minute(slope),
            f"node_exporter {per_minute(peers_slope)}",
            "-",
            slope.flat,
            "" if slope.flat else f"{(second_half(ours)[-1][1] - second_half(ours)[0][1]) / 1e3:+.0f} KB in the second half",
        ),
    ]


def watch(served: list[Served]) -> tuple[Points, Points, Points, Points]:
    """Return (seconds, bytes resident) of each, and (seconds, PSS) of the first one and its children."""
    points: tuple[Points, Points, Points, Points] = ([], [], [], [])
    start = time.monotonic()
    while (at := time.monotonic() - start) < _MINUTES * 60:
        for one, into in zip(served, points, strict=False):
            into.append((at, one.program.memory(children=False).rss))
        points[3].append((at, served[0].program.memory().pss))
        time.sleep(1.0)
    return points


def peak(points: Points) -> float:
    """Return the most bytes that were seen."""
    return max(size for _, size in points)
