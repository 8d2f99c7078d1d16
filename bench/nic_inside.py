"""Part of `bench.nic` that runs in a network namespace: `python -m bench.nic_inside ticks | faults FOLDER`. Prints JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.model import CollectorContext
from collectors.nic.collector import NicCollector
from collectors.nic.settings import NicSettings
from daemon.job import CollectorJob
from tests.kit import peers
from tests.kit.netns import run, wait

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL = 5.0  # of full scans, the shortest allowed
ROUNDS = 5


def ticks() -> dict[str, float]:
    """Run full scans of every interface of this namespace but `lo`: CPU seconds of each, series before and after the cap."""
    settings, costs = NicSettings(ignore=("lo",)), []
    collector = NicCollector(settings, CollectorContext())
    job, folded = CollectorJob(collector, settings), 0
    for _ in range(ROUNDS):
        began = time.thread_time()
        collector.request_full_scan()
        folded = len(job.run_once().metrics)
        costs.append(time.thread_time() - began)
    began = time.thread_time()
    for _ in range(100):
        job.run_once()
    between = (time.thread_time() - began) / 100
    before = len(list(collector.measure(job.history[-1], settings)))
    collector.close()
    return {"first": costs[0], "tick": statistics.median(costs[1:]), "between": between, "all": before, "series": folded}


def faults(folder: Path) -> dict[str, list[float]]:
    """Inject faults beside a running daemon; seconds until its metrics show each."""
    run("ip link set lo up", "ip link add data0 type veth peer name other0", "ip link set data0 up", "ip link set other0 up")
    settings = f'[nic]\nfull_scan_interval = "{INTERVAL:.0f}s"\nignore = ["lo"]\n'
    with peers.vitald(folder, settings, "--collector.disable-defaults", "--collector.nic") as daemon:

        def shows(*parts: str) -> Callable[[], bool]:
            return lambda: any(all(part in line for part in parts) for line in daemon.series())

        wait(shows('vitald_nic_carrier{interface="data0"} 1'))
        found: dict[str, list[float]] = {"flap": [], "lost": [], "offload": [], "driver": []}
        for at in range(ROUNDS):
            changes = daemon.total("vitald_nic_carrier_changes_total")
            run("ip link set other0 down", "ip link set other0 up")
            found["flap"].append(wait(lambda changes=changes: daemon.total("vitald_nic_carrier_changes_total") > changes))  # type: ignore[misc]
            run("ip link set other0 down")
            found["lost"].append(wait(shows('vitald_nic_carrier{interface="data0"} 0')))
            run("ip link set other0 up")
            run(f"ethtool -K data0 sg {'on' if at % 2 else 'off'}")
            found["offload"].append(wait(shows("vitald_nic_feature_enabled", 'interface="data0"', 'feature="sg"', f"}} {at % 2}")))
            run("ip link del data0", "ip tuntap add data0 mode tap")
            found["driver"].append(wait(shows("vitald_nic_driver_info", 'interface="data0"', 'driver="tun"')))
            run("ip link del data0", "ip link add data0 type veth peer name other0", "ip link set data0 up", "ip link set other0 up")
            if at % 2 == 0:
                run("ethtool -K data0 sg off")
            wait(shows("vitald_nic_driver_info", 'interface="data0"', 'driver="veth"'))
            wait(shows('vitald_nic_carrier{interface="data0"} 1'))
    return found


if __name__ == "__main__":
    print(json.dumps(ticks() if sys.argv[1] == "ticks" else faults(Path(sys.argv[2]))))
