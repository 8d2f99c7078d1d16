"""When leases were last set, from the kernel's own address table: a client that renews is well, whatever its log said before."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from collectors.dhcp.addresses import read_addresses

if TYPE_CHECKING:
    from collections.abc import Mapping


def renewed(up: float) -> Mapping[str, float]:
    """Give for each interface that holds leases when the oldest of them was last set, in seconds since boot. None can be had: nothing."""
    try:
        names = dict(socket.if_nameindex())
        addresses = read_addresses(names, time.monotonic())
    except OSError:
        return {}
    found: dict[str, float] = {}
    for address in addresses:
        if address.valid is not None:
            found[address.interface] = min(found.get(address.interface, up), up - address.age)
    return found
