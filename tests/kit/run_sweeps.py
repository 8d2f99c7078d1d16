"""Run the probe collector in the namespace it is started in: one JSON line for each sweep. The order is JSON in the first argument.

`settings` of the section, `sweeps`; `check`: run as `vitald check` does, `hold`: addresses to connect to before, `conntrack`: fill the
connection table before, `refresh`: seconds between look-ups, `hosts`: contents of the hosts file `hosts_file` for each sweep after the
first, and `dnsmasq`: the process to reload.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from collectors.model import CollectorContext, Mode
from collectors.probe.collector import Probe
from collectors.probe.connect.result import FAILURES, LABELS, ProbeResult, Reason
from collectors.probe.dns import resolver
from collectors.probe.settings import ProbeSettings
from collectors.settings import decode_hook
from daemon.job import CollectorJob
from tests.kit.fill_conntrack import fill

if TYPE_CHECKING:
    from collectors.model import Verdict
    from collectors.probe.target_stats import TargetStats


def main(order: dict[str, Any]) -> None:
    held = [socket.create_connection(tuple(address)) for address in order.get("hold", ())]
    if order.get("conntrack"):
        fill()
    resolver.REFRESH_SECONDS = order.get("refresh", resolver.REFRESH_SECONDS)
    settings = msgspec.convert(order["settings"], ProbeSettings, dec_hook=decode_hook)
    probe = Probe(settings, CollectorContext(mode=Mode.CHECK if order.get("check") else Mode.DAEMON))
    job = CollectorJob(probe, settings)
    for number in range(order["sweeps"]):
        if number and (hosts := order.get("hosts", ())):
            Path(order["hosts_file"]).write_text(hosts[min(number, len(hosts)) - 1])
            os.kill(order["dnsmasq"], signal.SIGHUP)
            time.sleep(3 * resolver.REFRESH_SECONDS)
        begun = time.monotonic()
        verdicts = {verdict.subject: verdict for verdict in job.run_once().verdicts}
        took = time.monotonic() - begun
        names = {target.text: probe._resolver.resolve(target.host, target.port) for target in probe._named}
        seen = {target: describe(stats, verdicts[target]) for target, stats in job.readings()[-1].stats.items()}
        for target, more in seen.items():
            more.update(address=getattr(names.get(target), "sockaddr", [None])[0], took=took, held=len(held))
        sys.stdout.write(json.dumps(seen) + "\n")
    probe.close()


def describe(stats: TargetStats, verdict: Verdict) -> dict[str, Any]:
    last = stats.last or ProbeResult(Reason.OTHER)
    return {
        **last._asdict(),
        "reason": LABELS[last.reason],
        "in_a_row": stats.in_a_row,
        "failures": {reason: count for reason, count in zip(FAILURES, stats.failures, strict=True) if count},
        "level": int(verdict.level),
        "message": verdict.message,
        "dns": stats.dns_seconds,
        "diagnosis": verdict.evidence.get("diagnosis"),
    }


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
