"""DHCP countdown: delay of a lost address on /metrics, cost of a tick, and cost of collectors.netlink.rtnetlink beside pyroute2."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.kit import netns
from tests.kit.figures import ratio, seconds
from tests.kit.results import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ISSUE = 4
ADDRESSES = 1000
_IMPORT = """
import asyncio, concurrent.futures, email, http.server, json, logging, multiprocessing, re, socket, ssl, urllib.request
def rss():
    return int(re.search(r"^Rss:\\s+(\\d+)", open("/proc/self/smaps_rollup").read(), re.M)[1]) * 1024
before = rss()
import {}
print(rss() - before)
"""


def measure(folder: Path) -> list[Row]:
    """Run all; namespaces need root."""
    return [*events(folder), *ticks(), *memory()]


def events(folder: Path) -> Iterator[Row]:
    """Time from an address event to /metrics, polled every 10 ms."""
    with netns.namespace() as name:
        output = netns.run_module(name, "bench.dhcp_inside", "events", str(folder))
    for kind, words in (
        ("lost", "leased address deleted"),
        ("expired", "leased address expired in the kernel"),
        ("renewed", "lease renewed"),
        ("flap", "link flap, down and up at once, both changes counted"),
    ):
        worst = max(output[kind])
        title = f"{words}: until it is on /metrics, worst of {len(output[kind])} (ticks are an hour apart)"
        yield Row(title, "< 1 s", seconds(worst), "-", "-", worst < 1.0)


def ticks() -> Iterator[Row]:
    """Time full scans of few and of many addresses, and ticks between two scans; the peer is iproute2, which only prints them."""
    for count in (2, ADDRESSES):
        with netns.namespace() as name:
            netns.ip("-netns", name, "link", "add", "one", "type", "veth", "peer", "name", "two")
            lines = [f"addr add 10.{at // 250}.{at % 250}.1/24 dev one valid_lft 3600 preferred_lft 3600" for at in range(count)]
            netns.ip("-netns", name, "-batch", "-", text="\n".join(lines) + "\n")
            cpu = netns.run_module(name, "bench.dhcp_inside", "ticks")
        peer = f"`ip -json address`: {seconds(cpu['ip'])}"
        yield Row(f"CPU of a scan of {count} leased addresses", "-", seconds(cpu["scan"]), peer, ratio(cpu["scan"], cpu["ip"]), None)
        yield Row(f"CPU of a tick between two scans, {count} leased addresses", "-", seconds(cpu["tick"]), "-", "-", None)


def memory() -> Iterator[Row]:
    """Import each in a process of its own that has already the daemon's other modules."""
    ours, whole = imported("collectors.netlink.rtnetlink"), imported("pyroute2")
    peer = f"pyroute2: {whole / 1e6:.1f} MB"
    yield Row("resident memory of the reader of links and addresses", "-", f"{ours / 1e6:.1f} MB", peer, ratio(ours, whole), None)


def imported(name: str) -> float:
    """Return the growth in resident memory, in bytes."""
    done = subprocess.run([sys.executable, "-c", _IMPORT.format(name)], check=True, capture_output=True, text=True)
    return float(done.stdout)
