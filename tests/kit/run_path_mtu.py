"""Runs the path_mtu collector in whatever namespace it is started in, once: JSON of what it says of each target.

The order is JSON in the first argument: `targets`; `command`: another child than ours; `seconds`: the longest a round may take.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from collectors.model import CollectorContext, Unavailable
from collectors.packets.client import PacketClient
from collectors.path_mtu import collector as path_mtu
from collectors.probe.diagnosis.target_events import ROSTER
from collectors.probe.dns.lookup import look_up
from collectors.probe.targets.target import Address, Target, parse


def main(order: dict[str, Any]) -> None:
    path_mtu.LONGEST_ROUND = order.get("seconds", path_mtu.LONGEST_ROUND)
    targets = [parse(text) for text in order["targets"]]
    ROSTER.publish({target.text: target.address or looked_up(target) for target in targets})
    collector = path_mtu.PathMtu(path_mtu.PathMtuSettings(), CollectorContext())
    if "command" in order:
        collector._child = PacketClient(order["command"])
    begun = time.monotonic()
    said: dict[str, Any] = {"failure": "", "unavailable": "", "targets": {}}
    try:
        reading = collector.read()
        values = {metric.labels[0]: metric.value for metric in collector.measure(reading)}
        for verdict in collector.judge([reading]):
            found = reading.found[verdict.subject]._asdict()
            said["targets"][verdict.subject] = {
                **found, "level": int(verdict.level), "message": verdict.message, "metric": values.get(verdict.subject),
            }  # fmt: skip
    except Unavailable as why:
        said["unavailable"] = f"{why.reason}: {why}"
    except RuntimeError as error:
        said["failure"] = str(error)
    said["took"] = time.monotonic() - begun
    said["children"] = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    sys.stdout.write(json.dumps(said))


def looked_up(target: Target) -> Address:
    (address,) = look_up(target.host).addresses
    return address._replace(sockaddr=(address.sockaddr[0], target.port, *address.sockaddr[2:]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
