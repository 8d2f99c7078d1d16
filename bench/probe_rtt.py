"""The exported round trip on a busy host: 500 targets a second, every core taken by stress-ng."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from bench.probe_cpu import settings
from tests.kit import peers
from tests.kit.figures import quantile, ratio, seconds
from tests.kit.program import BenchError, Program
from tests.kit.results import Row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ISSUE = 2
TARGETS = 500
BAR = 1 / 20
_LENGTH = float(os.environ.get("VITALD_BENCH_SECONDS", "60"))
_WARM_UP = 15.0


def measure(folder: Path) -> list[Row]:
    """Compare with nothing else beside."""
    return compare(folder, _nothing)


def _nothing(_targets: list[str], length: float) -> list[Row]:
    time.sleep(length)
    return []


def compare(folder: Path, beside: Callable[[list[str], float], list[Row]]) -> list[Row]:
    """Compare the p99 of vitald's histogram with the p99 of blackbox_exporter's `probe_duration_seconds`, both as Prometheus has them."""
    with (
        peers.listeners(folder, TARGETS) as targets,
        peers.vitald(folder, settings(targets)) as vitald,
        peers.blackbox(folder) as blackbox,
        peers.prometheus(folder, peers.scrape_job("vitald", [vitald]), peers.probe_job(blackbox, targets)) as prometheus,
        Program("stress-ng", ["stress-ng", "--cpu", str(os.cpu_count()), "--temp-path", str(folder)], folder),
    ):
        time.sleep(_WARM_UP)
        start = time.time()
        more = beside(targets, _LENGTH)
        length, end = time.time() - start, time.time()
        span = f"[{length:.0f}s]"
        time.sleep(6)  # the scrape that was out is stored by then
        buckets = f"sum by (le) (increase(vitald_probe_rtt_seconds_bucket{span}))"
        ours = [prometheus.number(f"histogram_quantile({q}, {buckets})", at=end) for q in (0.5, 0.99)]
        probes = prometheus.number(f"sum(increase(vitald_probe_attempts_total{span}))", at=end)
        answered = prometheus.number(f"sum(increase(vitald_probe_rtt_seconds_count{span}))", at=end)
        found = prometheus.query(f'probe_duration_seconds{{job="blackbox"}}{span}', at=end)
    durations = [float(value) for series in found for _, value in series["values"]]
    if not durations:
        raise BenchError("blackbox_exporter has made no probe in time")
    theirs = [quantile(durations, q) for q in (0.5, 0.99)]
    enough = probes > 0.9 * TARGETS * length and answered > 0.99 * probes
    return [
        Row(
            f"exported RTT, p99; {TARGETS} targets each second, stress-ng on all cores, {length:.0f} s",
            "≤ 1/20",
            f"{seconds(ours[1])} (p50 {seconds(ours[0])}, {probes / length:.0f} probes/s, {answered / max(probes, 1):.1%} answered)",
            f"blackbox_exporter {seconds(theirs[1])} (p50 {seconds(theirs[0])}, {len(durations) / length:.0f} probes/s)",
            ratio(ours[1], theirs[1]),
            ours[1] <= BAR * theirs[1] and enough,
            "" if enough else "too few probes were made or answered",
        ),
        *more,
    ]
