"""Runs the collector in whatever namespace it is started in: one JSON line for each sweep. The order is JSON in the first argument.

`settings` of the section, `sweeps`; `hold`: addresses to connect to before, `conntrack`: fill the connection table before,
`refresh`: seconds between look-ups, `hosts`: contents of a hosts file for each sweep after the first, and `dnsmasq`, whose SIGHUP it takes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from collectors.model import Host
from collectors.probe import resolver
from collectors.probe.collector import Probe, ProbeSettings
from collectors.probe.reasons import FAILURES, LABELS
from collectors.settings import decode_hook


def main(order: dict[str, Any]) -> None:
    held = [socket.create_connection(tuple(address)) for address in order.get("hold", ())]
    if order.get("conntrack"):
        from fill_conntrack import fill  # noqa: PLC0415 — beside this file

        fill()
    resolver.REFRESH = order.get("refresh", resolver.REFRESH)
    probe = Probe(msgspec.convert(order["settings"], ProbeSettings, dec_hook=decode_hook), Host())
    for number in range(order["sweeps"]):
        if number and (hosts := order.get("hosts", ())):
            Path(order["hosts_file"]).write_text(hosts[min(number, len(hosts)) - 1])
            os.kill(order["dnsmasq"], signal.SIGHUP)
            time.sleep(3 * resolver.REFRESH)
        begun = time.monotonic()
        reading = probe.read()
        took = time.monotonic() - begun
        verdicts = {verdict.subject: verdict for verdict in probe.judge([reading])}
        names = {target.text: probe._resolver.ask(target.host, target.port) for target in probe._targets or () if not target.address}  # noqa: SLF001
        print(
            json.dumps(
                {
                    target: {
                        "reason": LABELS[record.last.reason] if record.last else None,
                        "own_fault": bool(record.last and record.last.own_fault),
                        "rtt": record.last.rtt if record.last else 0,
                        "retransmits": record.last.retransmits if record.last else 0,
                        "seconds": record.last.seconds if record.last else 0,
                        "router": record.last.router if record.last else "",
                        "in_a_row": record.in_a_row,
                        "failures": {reason: count for reason, count in zip(FAILURES, record.failures, strict=True) if count},
                        "level": int(verdicts[target].level),
                        "message": verdicts[target].message,
                        "address": getattr(names.get(target), "sockaddr", [None])[0],
                        "took": took,
                        "held": len(held),
                        "dns": record.dns_seconds,
                    }
                    for target, record in reading.records.items()
                }
            ),
            flush=True,
        )
    probe.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
