"""CPU per probe: vitald and blackbox_exporter connect to the same 200 targets every second, at the same time."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tests.kit import peers
from tests.kit.figures import ratio, seconds
from tests.kit.results import Row

if TYPE_CHECKING:
    from pathlib import Path

ISSUE = 2
TARGETS = 200
BAR = 1 / 6
_LENGTH = float(os.environ.get("VITALD_BENCH_SECONDS", "60"))
_WARM_UP = 10.0


def measure(folder: Path) -> list[Row]:
    """Compare `vitald run` with defaults, and with the probes alone, to blackbox_exporter; Prometheus, which drives it, is not counted."""
    with (
        peers.listeners(folder, TARGETS) as targets,
        peers.vitald(folder, settings(targets)) as whole,
        peers.vitald(folder, settings(targets), "--collector.disable-defaults", "--collector.probe", name="probe-only") as alone,
        peers.blackbox(folder) as blackbox,
        peers.prometheus(folder, peers.scrape_job("vitald", [whole, alone]), peers.probe_job(blackbox, targets)) as prometheus,
    ):
        time.sleep(_WARM_UP)
        before = [(one.program.cpu_seconds(), one.total("vitald_probe_attempts_total")) for one in (whole, alone)]
        blackbox_before, start = blackbox.program.cpu_seconds(), time.time()
        time.sleep(_LENGTH)
        after = [(one.program.cpu_seconds(), one.total("vitald_probe_attempts_total")) for one in (whole, alone)]
        blackbox_cpu, end = blackbox.program.cpu_seconds() - blackbox_before, time.time()
        time.sleep(2)  # what was asked in the last moment is stored by then
        probed = prometheus.number(f'sum(count_over_time(probe_success{{job="blackbox"}}[{end - start:.0f}s]))', at=end)
    theirs = blackbox_cpu / probed
    (cpu, probes), (alone_cpu, alone_probes) = ((b[0] - a[0], b[1] - a[1]) for a, b in zip(before, after, strict=True))
    peer = f"blackbox_exporter {seconds(theirs)} ({probed / (end - start):.0f} probes/s)"
    return [
        row("CPU per probe, `vitald run` with every default collector", (cpu, probes, TARGETS), theirs, peer, (BAR, "1/6")),
        row("CPU per probe, the probe collector alone", (alone_cpu, alone_probes, TARGETS), theirs, peer, None),
    ]


def settings(targets: list[str]) -> str:
    """Probe these every second."""
    return f'[probe]\ninterval = "1s"\ntimeout = "900ms"\ntargets = {targets!r}\n'


def row(title: str, seen: tuple[float, float, int], theirs: float, peer: str, bar: tuple[float, str] | None) -> Row:
    """Return the row of one comparison of CPU seconds, probes and targets; too few probes are a miss whatever they cost."""
    cpu, probes, count = seen
    ours, rate = cpu / max(probes, 1), probes / _LENGTH
    kept_up = rate > 0.95 * count
    return Row(
        f"{title}; {count} targets each second, {_LENGTH:.0f} s",
        f"≤ {bar[1]}" if bar else "-",
        f"{seconds(ours)} ({rate:.0f} probes/s)",
        peer,
        ratio(ours, theirs),
        (ours <= bar[0] * theirs and kept_up) if bar else None,
        "" if kept_up else f"only {rate:.0f} probes a second were made",
    )
