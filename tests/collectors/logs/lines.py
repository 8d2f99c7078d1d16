"""Lines that match signatures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_OFFERS = "Nov 21 10:00:00 ip-10-0-0-56 dhclient[694]: No DHCPOFFERS received."
BOUND = "Nov 21 10:05:00 ip-10-0-0-56 dhclient[694]: bound to 10.0.0.56 -- renewal in 1700 seconds."
TIMEOUT = "NETDEV WATCHDOG: eth0 (ena): transmit queue 1 timed out"
OOM = "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=x,pid=1,uid=0"


def kmsg_records(descriptor: int) -> Iterator[str]:
    """Yield what is there to be read of /dev/kmsg, opened without blocking."""
    while True:
        try:
            yield os.read(descriptor, 16_384).decode()
        except BlockingIOError:
            return


def record(sequence: int, text: str, priority: int = 3) -> str:
    return f"{priority},{sequence},{sequence * 1000},-;{text}"
