"""What `bench.nic` runs inside a network namespace of its own: `python -m bench.nic_inside ticks | faults FOLDER`. Prints JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.cardinality import Caps
from collectors.model import CollectorContext
from collectors.nic.collector import NicCollector, NicSettings
from tests.kit import peers
from tests.kit.netns import run, wait

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL = 5.0  # of full looks, the shortest there is
ROUNDS = 5


def ticks() -> dict[str, float]:
    """Take full looks at every interface of this namespace but `lo`: CPU seconds of each, series before and after the cap."""
    collector, caps, costs, before = NicCollector(NicSettings(ignore=("lo",)), CollectorContext()), Caps(), [], 0
    folded: list[Any] = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        collector.look_again()
        reading = collector.read()
        caps.fold_verdicts(collector.judge([reading]))
        metrics = list(collector.measure(reading))
        before, folded = len(metrics), caps.fold(metrics)
        costs.append(time.thread_time() - began)
    began = time.thread_time()
    for _ in range(100):
        collector.judge([collector.read()])
    collector.close()
    return {
        "first": costs[0],
        "tick": statistics.median(costs[1:]),
        "between": (time.thread_time() - began) / 100,
        "all": before,
        "series": len(folded),
    }


def faults(folder: Path) -> dict[str, list[float]]:
    """Make faults beside a running daemon, and time each until its metrics say so: seconds."""
    run("ip link set lo up", "ip link add data0 type veth peer name other0", "ip link set data0 up", "ip link set other0 up")
    settings = f'[nic]\nlook_every = "{INTERVAL:.0f}s"\nignore = ["lo"]\n'
    with peers.vitald(folder, settings, "--collector.disable-defaults", "--collector.nic") as daemon:

        def shows(*words: str) -> Callable[[], bool]:
            return lambda: any(all(word in line for word in words) for line in daemon.series())

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
