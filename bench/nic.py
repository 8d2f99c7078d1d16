"""CPU of one NIC run beside the ethtool program; 1,000 veths; latency of a fault on /metrics."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from typing import TYPE_CHECKING

from bench.nic_inside import INTERVAL
from collectors.model import CollectorContext
from collectors.nic.collector import NicCollector
from collectors.nic.metrics import MAX_LABEL_VALUES
from collectors.nic.settings import NicSettings
from daemon.job import CollectorJob
from tests.kit import netns
from tests.kit.figures import ratio, seconds
from tests.kit.results import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ISSUE = 4
ROUNDS = 40
VETHS = 1000
BAR = 1 / 10


def measure(folder: Path) -> list[Row]:
    """Run all NIC benches; namespaces need root."""
    return [*against_ethtool(), *thousand_veths(), *faults(folder)]


def against_ethtool() -> Iterator[Row]:
    """Alternate on this machine's interfaces: a whole run (full scan, judge, measure), then three runs of ethtool for each."""
    names = [name for name in os.listdir("/sys/class/net") if name not in {"lo", "bonding_masters"}]  # noqa: PTH208
    settings = NicSettings(ignore=("lo",))
    collector, vitald, peer_cpu = NicCollector(settings, CollectorContext()), 0.0, 0.0
    job = CollectorJob(collector, settings)
    job.run_once()
    for _ in range(ROUNDS):
        began = time.thread_time()
        collector.request_full_scan()
        list(job.run_once().metrics)
        vitald += time.thread_time() - began
        peer_cpu += ethtool(names)
    began = time.thread_time()
    for _ in range(1000):
        list(job.run_once().metrics)
    between = (time.thread_time() - began) / 1000
    collector.close()
    title = f"CPU of one NIC run with a full scan, {len(names)} interfaces, mean of {ROUNDS} alternating"
    peer = f"ethtool -i, -k and -S of each: {seconds(peer_cpu / ROUNDS)}"
    yield Row(title, "≤ 1/10", seconds(vitald / ROUNDS), peer, ratio(vitald, peer_cpu), vitald <= BAR * peer_cpu)
    yield Row("CPU of a NIC run between two full scans, nothing changed", "-", seconds(between), "-", "-", None)


def ethtool(names: list[str]) -> float:
    """Run ethtool -i, -k and -S on each interface; CPU seconds of the children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for name in names:
        for flag in ("-i", "-k", "-S"):
            subprocess.run(["ethtool", flag, name], check=False, capture_output=True, env=netns.ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def thousand_veths() -> Iterator[Row]:
    """Scan 1,000 veths that no setting ignores."""
    with netns.namespace() as name:
        batch = "\n".join(f"link add v{at} type veth peer name w{at}" for at in range(VETHS // 2))
        netns.ip("-netns", name, "-batch", "-", text=batch + "\n")
        result = netns.run_module(name, "bench.nic_inside", "ticks")
    title = f"CPU of one NIC run, {VETHS} veths, median of 4 (the first, which finds them all: {seconds(result['first'])})"
    kept = f"{result['series']:.0f} series of {result['all']:.0f}; at most {MAX_LABEL_VALUES} interfaces a family and `other`"
    yield Row(title, "< 1 s", seconds(result["tick"]), "-", "-", result["tick"] < 1.0 and result["first"] < 1.0)
    yield Row(f"series of {VETHS} veths", "at their cap", kept, "-", "-", result["series"] < result["all"])
    yield Row(f"CPU of a NIC run between two full scans, {VETHS} veths", "-", seconds(result["between"]), "-", "-", None)


def faults(folder: Path) -> Iterator[Row]:
    """Time faults until /metrics shows them; it is scraped every 20 ms."""
    with netns.namespace() as name:
        result = netns.run_module(name, "bench.nic_inside", "faults", str(folder))
    for kind, fault, bar in (
        ("flap", "link flap, down and up at once", 1.0),
        ("lost", "carrier lost", 1.0),
        ("offload", f"offload switched, a full scan every {INTERVAL:.0f} s", INTERVAL),
        ("driver", f"another driver under the same name, a full scan every {INTERVAL:.0f} s", INTERVAL),
    ):
        worst = max(result[kind])
        title = f"{fault}: until /metrics shows it, worst of {len(result[kind])}"
        yield Row(title, f"< {bar:.0f} s", seconds(worst), "-", "-", worst < bar)
