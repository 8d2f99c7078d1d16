"""Program of `bench.dhcp` inside a network namespace: `python -m bench.dhcp_inside ticks | events FOLDER`. Prints JSON."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.dhcp.collector import DhcpCollector, DhcpSettings
from collectors.model import CollectorContext
from tests.kit import peers
from tests.kit.netns import run, wait

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 10
SETTINGS = DhcpSettings(ignore=("lo",))
_ADDRESS = "10.97.0.56/24 dev one"
_HEALTH = 'vitald_health{check="dhcp_lease",subject="10.97.0.56"}'


def ticks() -> dict[str, float]:
    """Measure full scans and ticks between two; CPU seconds of each (median), and of iproute2 printing the same table."""
    collector, scans, theirs = DhcpCollector(SETTINGS, CollectorContext()), [], []
    for _ in range(ROUNDS):
        began = time.thread_time()
        collector.request_full_scan()
        tick(collector)
        scans.append(time.thread_time() - began)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["ip", "-json", "address"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        theirs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    began = time.thread_time()
    for _ in range(100):
        tick(collector)
    between = (time.thread_time() - began) / 100
    collector.close()
    return {"scan": statistics.median(scans), "tick": between, "ip": statistics.median(theirs)}


def tick(collector: DhcpCollector) -> None:
    """Read, judge and measure."""
    reading = collector.read()
    list(collector.judge([reading], SETTINGS))
    list(collector.measure(reading, SETTINGS))


def events(folder: Path) -> dict[str, list[float]]:
    """Make events beside a running daemon, and time each until it is on /metrics, in seconds."""
    run("ip link set lo up", "ip link add one type veth peer name two", "ip link set one up", "ip link set two up")
    settings = '[dhcp]\ninterval = "1h"\nignore = ["lo"]\n[nic]\ninterval = "1h"\nignore = ["lo"]\n'
    flags = ("--collector.disable-defaults", "--collector.dhcp", "--collector.nic")
    found: dict[str, list[float]] = {"lost": [], "expired": [], "renewed": [], "flap": []}
    with peers.vitald(folder, settings, *flags) as daemon:

        def shows(words: str) -> Callable[[], bool]:
            return lambda: any(line.startswith(words) for line in daemon.series())

        def grows(metric: str, by: float) -> Callable[[], bool]:
            goal = daemon.total(metric) + by
            return lambda: daemon.total(metric) >= goal

        wait(shows('vitald_nic_carrier{interface="one"} 1'))
        for _ in range(ROUNDS):
            set_address(3600)
            wait(shows(f"{_HEALTH} 0"))
            renewed = grows("vitald_dhcp_renewals_total", 1)
            set_address(7200)
            found["renewed"].append(wait(renewed))
            run(f"ip address del {_ADDRESS}")
            found["lost"].append(wait(shows(f"{_HEALTH} 2")))
            flapped = grows("vitald_nic_carrier_changes_total", 4)  # both ends of the veth pair, down and up
            run("ip link set two down", "ip link set two up")
            found["flap"].append(wait(flapped))
        for _ in range(3):
            set_address(3)
            wait(shows(f"{_HEALTH} 0"))
            while "10.97.0.56" in run("ip -4 address show dev one"):
                time.sleep(0.01)
            found["expired"].append(wait(shows(f"{_HEALTH} 2")))
    return found


def set_address(seconds: int) -> None:
    """Set the address as a DHCP client does."""
    run(f"ip address replace {_ADDRESS} valid_lft {seconds} preferred_lft {seconds}")


if __name__ == "__main__":
    print(json.dumps(ticks() if sys.argv[1] == "ticks" else events(Path(sys.argv[2]))))
