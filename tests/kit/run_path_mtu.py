"""Run the path_mtu collector in the namespace it is started in, once: JSON with its result for each target.

The order is JSON in the first argument: `targets`; `command`: another helper than ours; `seconds`: the longest a round may take.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from collectors.model import CollectorContext, Inputs, Unavailable
from collectors.packets.client import PacketClient
from collectors.path_mtu import collector as path_mtu
from collectors.probe import ProbeReading, SocketAddress
from collectors.probe.dns.lookup import look_up
from collectors.probe.targets.target import Target, parse


def main(order: dict[str, Any]) -> None:
    path_mtu.MAX_SECONDS = order.get("seconds", path_mtu.MAX_SECONDS)
    targets = [parse(text) for text in order["targets"]]
    settings = path_mtu.PathMtuSettings()
    collector = path_mtu.PathMtu(settings, CollectorContext())
    addresses = {target.text: target.address or looked_up(target) for target in targets}
    collector.receive(Inputs({"probe": ProbeReading({}, addresses=addresses)}))
    if "command" in order:
        collector._client = PacketClient(order["command"])
    begun = time.monotonic()
    seen: dict[str, Any] = {"failure": "", "unavailable": "", "targets": {}}
    try:
        reading = collector.read()
        values = {metric.labels[0]: metric.value for metric in collector.measure(reading, settings)}
        for verdict in collector.judge([reading], settings):
            result = reading.results[verdict.subject]._asdict()
            seen["targets"][verdict.subject] = {
                **result, "level": int(verdict.level), "message": verdict.message, "metric": values.get(verdict.subject),
            }  # fmt: skip
    except Unavailable as error:
        seen["unavailable"] = f"{error.reason}: {error}"
    except RuntimeError as error:
        seen["failure"] = str(error)
    seen["took"] = time.monotonic() - begun
    seen["children"] = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    sys.stdout.write(json.dumps(seen))


def looked_up(target: Target) -> SocketAddress:
    (address,) = look_up(target.host).addresses
    return address._replace(sockaddr=(address.sockaddr[0], target.port, *address.sockaddr[2:]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
