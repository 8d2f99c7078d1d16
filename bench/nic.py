"""One look at the interfaces beside the ethtool program; 1,000 veths; how soon a fault is on /metrics."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from typing import TYPE_CHECKING

from bench.nic_inside import INTERVAL
from collectors.model import CollectorContext
from collectors.nic.collector import NicCollector, NicSettings
from collectors.nic.metrics import MOST
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
    """Run all of it; namespaces need root."""
    return [*against_ethtool(), *thousand_veths(), *faults(folder)]


def against_ethtool() -> Iterator[Row]:
    """Take turns on this machine's interfaces: a whole tick (look, judge, measure), then the program's three runs for each."""
    names = [name for name in os.listdir("/sys/class/net") if name not in {"lo", "bonding_masters"}]  # noqa: PTH208
    collector, ours, theirs = NicCollector(NicSettings(ignore=("lo",)), CollectorContext()), 0.0, 0.0
    collector.read()
    for _ in range(ROUNDS):
        began = time.thread_time()
        collector.look_again()
        reading = collector.read()
        collector.judge([reading])
        collector.measure(reading)
        ours += time.thread_time() - began
        theirs += ethtool(names)
    began = time.thread_time()
    for _ in range(1000):
        collector.judge([collector.read()])
    between = (time.thread_time() - began) / 1000
    collector.close()
    title = f"CPU of one NIC tick with a full look, {len(names)} interfaces, mean of {ROUNDS} in turn"
    peer = f"ethtool -i, -k and -S of each: {seconds(theirs / ROUNDS)}"
    yield Row(title, "≤ 1/10", seconds(ours / ROUNDS), peer, ratio(ours, theirs), ours <= BAR * theirs)
    yield Row("CPU of a tick between two looks, where nothing happened", "-", seconds(between), "-", "-", None)


def ethtool(names: list[str]) -> float:
    """Run the program as people do; CPU seconds of the children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for name in names:
        for flag in ("-i", "-k", "-S"):
            subprocess.run(["ethtool", flag, name], check=False, capture_output=True, env=netns.ENVIRONMENT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def thousand_veths() -> Iterator[Row]:
    """Look at 1,000 veths that nobody asked to ignore."""
    with netns.namespace() as name:
        batch = "\n".join(f"link add v{at} type veth peer name w{at}" for at in range(VETHS // 2))
        netns.ip("-netns", name, "-batch", "-", text=batch + "\n")
        said = netns.said(name, "bench.nic_inside", "ticks")
    title = f"CPU of one tick, {VETHS} veths, median of 4 (the first, which learns them all: {seconds(said['first'])})"
    kept = f"{said['series']:.0f} series of {said['all']:.0f}; at most {MOST} interfaces a family and `other`"
    yield Row(title, "< 1 s", seconds(said["tick"]), "-", "-", said["tick"] < 1.0 and said["first"] < 1.0)
    yield Row(f"series of {VETHS} veths", "at their cap", kept, "-", "-", said["series"] < said["all"])
    yield Row(f"CPU of a tick between two looks, {VETHS} veths", "-", seconds(said["between"]), "-", "-", None)


def faults(folder: Path) -> Iterator[Row]:
    """Time faults until the daemon's page shows them; the page is asked every 20 ms."""
    with netns.namespace() as name:
        said = netns.said(name, "bench.nic_inside", "faults", str(folder))
    for kind, words, bar in (
        ("flap", "link flap, down and up at once", 1.0),
        ("lost", "carrier lost", 1.0),
        ("offload", f"offload switched, a full look every {INTERVAL:.0f} s", INTERVAL),
        ("driver", f"another driver under the same name, a full look every {INTERVAL:.0f} s", INTERVAL),
    ):
        worst = max(said[kind])
        title = f"{words}: until /metrics shows it, worst of {len(said[kind])}"
        yield Row(title, f"< {bar:.0f} s", seconds(worst), "-", "-", worst < bar)
