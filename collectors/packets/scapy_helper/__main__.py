# SPDX-License-Identifier: GPL-2.0-or-later
"""Main loop: read orders from stdin, send probes, write answers to stdout."""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import select
import signal
import sys
import time

with contextlib.suppress(OSError):
    os.nice(19)  # half a second of imports must not take a small host's CPU from the daemon
logging.getLogger("scapy").setLevel(logging.CRITICAL)  # it warns of missing routes
from collectors.packets.scapy_helper.answers import write  # noqa: E402
from collectors.packets.scapy_helper.round import Round  # noqa: E402
from collectors.packets.scapy_helper.sockets import PacketSockets  # noqa: E402


def main(rate: float, seconds: float) -> None:
    """Run one round: at most `rate` packets per second, for at most `seconds`."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: end with the daemon
    signal.setitimer(signal.ITIMER_REAL, seconds)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
        score.write("500")  # the OOM killer takes this before the daemon
    try:
        sockets = PacketSockets()
    except OSError as error:
        write({"fatal": error.errno, "detail": str(error)})
        return
    probes = Round(sockets, rate)
    write({"ready": True})
    reading, rest = [0], b""
    while True:
        wait = probes.due(time.monotonic())
        if not reading and not probes.in_flight:
            return
        for descriptor in select.select([*reading, *sockets.descriptors], [], [], wait)[0]:
            if descriptor:
                sockets.receive(descriptor, probes.match)
                continue
            data = os.read(0, 65536)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                probes.order(json.loads(line))
            reading = reading if data else []


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
