"""A thousand targets each second beside blackbox_exporter, and how many probes a second the sweep makes by itself on one core."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.probe_cpu import row, settings
from tests.kit import peers
from tests.kit.figures import seconds
from tests.kit.program import BenchError
from tests.kit.results import Row

if TYPE_CHECKING:
    from pathlib import Path

ISSUE = 3
TARGETS = 1000
BAR = 1 / 10
LEAST = 20_000  # probes a second of CPU time
SWEEPS = 40
LENGTH = float(os.environ.get("VITALD_BENCH_SECONDS", "60"))
WARM_UP = 15.0

ENGINE = """
import json, socket, sys, time
from collectors.probe.connect.sweep import Sweeper
from collectors.probe.connect.result import Reason
from collectors.probe.targets.target import parse
plan = [parse(text).address for text in json.loads(sys.argv[1])]
sweeper = Sweeper()
sweeper.run(plan, 2.0)
answered, best, cpu = 0, 1e9, time.process_time()
for _ in range(int(sys.argv[2])):
    begun = time.process_time()
    answered += sum(outcome.reason is Reason.ANSWERED for outcome in sweeper.run(plan, 2.0))
    best = min(best, time.process_time() - begun)
print(json.dumps([answered, time.process_time() - cpu, best]))
"""


def measure(folder: Path) -> list[Row]:
    """Run all three one after the other: together they are more than two cores can do, and blackbox_exporter then loses probes."""
    cpu, probes = _vitald(folder)
    theirs, pace = blackbox_cost(folder)
    peer = f"blackbox_exporter {seconds(theirs)} ({pace})"
    title = "CPU per probe, `vitald run` with every default collector, scraped every 15 s"
    whole = row(title, (cpu, probes, TARGETS), theirs, peer, (BAR, "1/10"))
    if whole.met is False and not whole.reason:
        whole = replace(whole, reason="the sweep is what the next row says of it; the rest is judging and rendering each target")
    return [whole, engine(folder)]


def _vitald(folder: Path) -> tuple[float, float]:
    """Return CPU seconds and probes of the daemon, scraped by a Prometheus that is not counted."""
    with (
        peers.listeners(folder, TARGETS) as targets,
        peers.vitald(folder, settings(targets)) as vitald,
        peers.prometheus(folder, peers.scrape_job("vitald", [vitald], "15s")),
    ):
        time.sleep(WARM_UP)
        cpu, probes = vitald.program.cpu_seconds(), vitald.total("vitald_probe_attempts_total")
        time.sleep(LENGTH)
        return vitald.program.cpu_seconds() - cpu, vitald.total("vitald_probe_attempts_total") - probes


def blackbox_cost(folder: Path) -> tuple[float, str]:
    """Return blackbox_exporter's CPU seconds per probe, and the rate at which it probed. Raises BenchError where it made none."""
    (cpu, probes), pace = _blackbox(folder, "1s"), ""
    if probes < TARGETS * LENGTH / 4:  # most scrapes timed out, so the others do not show their cost
        (cpu, probes), pace = _blackbox(folder, "5s"), ", each target every 5 s: each second was too much"
    if not probes:
        raise BenchError("blackbox_exporter has made no probe in time")
    return cpu / probes, f"{probes / LENGTH:.0f} probes/s{pace}"


def _blackbox(folder: Path, interval: str) -> tuple[float, float]:
    """Return CPU seconds and probes of blackbox_exporter, driven by a Prometheus that is not counted."""
    with (
        peers.listeners(folder, TARGETS) as targets,
        peers.blackbox(folder) as blackbox,
        peers.prometheus(folder, peers.probe_job(blackbox, targets, interval)) as prometheus,
    ):
        time.sleep(WARM_UP)
        cpu, start = blackbox.program.cpu_seconds(), time.time()
        time.sleep(LENGTH)
        used, end = blackbox.program.cpu_seconds() - cpu, time.time()
        time.sleep(2)  # what was asked in the last moment is stored by then
        found = prometheus.query(f'sum(count_over_time(probe_success{{job="blackbox"}}[{end - start:.0f}s]))', at=end)
        return used, float(found[0]["value"][1]) if found else 0.0


def engine(folder: Path) -> Row:
    """Sweep as fast as it goes; CPU time, so that other programs on the cores do not count."""
    with peers.listeners(folder, TARGETS) as targets:
        words = [sys.executable, "-c", ENGINE, json.dumps(targets), str(SWEEPS)]
        output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    answered, cpu, best = json.loads(output)
    rate = answered / cpu
    return Row(
        f"the sweep alone, probes for each second of CPU; {SWEEPS} sweeps of {TARGETS} targets on loopback",
        f"≥ {LEAST}",
        f"{rate:.0f}/s ({cpu / answered * 1e6:.1f} µs a probe; the best sweep {TARGETS / best:.0f}/s)",
        "-",
        "-",
        rate >= LEAST and answered == SWEEPS * TARGETS,
        "" if answered == SWEEPS * TARGETS else f"only {answered} were answered",
    )
