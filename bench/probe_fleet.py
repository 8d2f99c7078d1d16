"""A thousand targets each second beside blackbox_exporter, and how many probes a second the sweep makes by itself on one core."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from bench import peers
from bench.probe_cpu import compare
from bench.results import Row

if TYPE_CHECKING:
    from pathlib import Path

ISSUE = 3
TARGETS = 1000
BAR = 1 / 8
LEAST = 20_000  # probes a second of CPU time
SWEEPS = 40

ENGINE = """
import json, socket, sys, time
from collectors.probe.sweep import Sweeper
from collectors.probe.reasons import Reason
from collectors.probe.targets import parse
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
    """Run both, one after the other."""
    return [*compare(folder, TARGETS, BAR, "1/8"), engine(folder)]


def engine(folder: Path) -> Row:
    """Sweep as fast as it goes; CPU time, so that other programs on the cores do not count."""
    with peers.listeners(folder, TARGETS) as targets:
        words = [sys.executable, "-c", ENGINE, json.dumps(targets), str(SWEEPS)]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    answered, cpu, best = json.loads(said)
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
