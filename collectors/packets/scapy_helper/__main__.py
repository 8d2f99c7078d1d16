# SPDX-License-Identifier: GPL-2.0-or-later
"""The program: orders in, answers out, until there are no more of either."""

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
    os.nice(19)  # its half second of imports must not take a small host's CPU from the daemon
logging.getLogger("scapy").setLevel(logging.CRITICAL)  # it would speak of missing routes
from collectors.packets.scapy_helper.answers import say  # noqa: E402
from collectors.packets.scapy_helper.round import Round  # noqa: E402
from collectors.packets.scapy_helper.sockets import Wire  # noqa: E402


def main(rate: float, seconds: float) -> None:
    """Work off the orders."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: never outlive the daemon
    signal.setitimer(signal.ITIMER_REAL, seconds)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
        score.write("500")  # where memory is short, this goes before the daemon does
    try:
        wire = Wire()
    except OSError as error:
        say({"fatal": error.errno, "detail": str(error)})
        return
    one = Round(wire, rate)
    say({"ready": True})
    reading, rest = [0], b""
    while True:
        wait = one.due(time.monotonic())
        if not reading and not one.out:
            return
        for descriptor in select.select([*reading, *wire.descriptors], [], [], wait)[0]:
            if descriptor:
                wire.hear(descriptor, one.understand)
                continue
            data = os.read(0, 65536)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                one.order(json.loads(line))
            reading = reading if data else []


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
