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
from typing import TYPE_CHECKING, Any

import msgspec

from collectors.model import CollectorContext, Mode
from collectors.probe.collector import Probe
from collectors.probe.connect.outcome import FAILURES, LABELS, Outcome, Reason
from collectors.probe.dns import resolver
from collectors.probe.settings import ProbeSettings
from collectors.settings import decode_hook

if TYPE_CHECKING:
    from collectors.model import Verdict
    from collectors.probe.target_stats import Record


def main(order: dict[str, Any]) -> None:
    held = [socket.create_connection(tuple(address)) for address in order.get("hold", ())]
    if order.get("conntrack"):
        from tests.collectors.probe.fill_conntrack import fill  # noqa: PLC0415

        fill()
    resolver.REFRESH = order.get("refresh", resolver.REFRESH)
    probe = Probe(
        msgspec.convert(order["settings"], ProbeSettings, dec_hook=decode_hook),
        CollectorContext(mode=Mode.CHECK if order.get("thorough") else Mode.DAEMON),
    )
    for number in range(order["sweeps"]):
        if number and (hosts := order.get("hosts", ())):
            Path(order["hosts_file"]).write_text(hosts[min(number, len(hosts)) - 1])
            os.kill(order["dnsmasq"], signal.SIGHUP)
            time.sleep(3 * resolver.REFRESH)
        begun = time.monotonic()
        reading = probe.read()
        took = time.monotonic() - begun
        verdicts = {verdict.subject: verdict for verdict in probe.judge([reading])}
        names = {target.text: probe._resolver.ask(target.host, target.port) for target in probe._targets or () if not target.address}
        said = {target: say(record, verdicts[target]) for target, record in reading.records.items()}
        for target, more in said.items():
            more.update(address=getattr(names.get(target), "sockaddr", [None])[0], took=took, held=len(held))
        sys.stdout.write(json.dumps(said) + "\n")
    probe.close()


def say(record: Record, verdict: Verdict) -> dict[str, Any]:
    last = record.last or Outcome(Reason.OTHER)
    return {
        **last._asdict(),
        "reason": LABELS[last.reason],
        "in_a_row": record.in_a_row,
        "failures": {reason: count for reason, count in zip(FAILURES, record.failures, strict=True) if count},
        "level": int(verdict.level),
        "message": verdict.message,
        "dns": record.dns_seconds,
        "diagnosis": verdict.evidence.get("diagnosis"),
    }


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
