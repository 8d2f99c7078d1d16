"""Link events of rtnetlink: which interfaces changed since the last read."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from collectors.netlink.message import attributes
from collectors.netlink.rtnetlink import GROUP_LINK, RTM_DELLINK, RTM_NEWLINK, Multicast

_IFINFOMSG = struct.Struct("=BxHiII")
_IFLA_IFNAME = 3  # include/uapi/linux/if_link.h
MAX_DECODED = 128  # messages of one drain; beyond that a full scan is cheaper


@dataclass(frozen=True, slots=True)
class LinkChanges:
    """Interfaces that changed, came or went since the last read. `incomplete`: messages were lost, or too many to decode."""

    names: frozenset[str] = frozenset()
    incomplete: bool = False


NO_CHANGES = LinkChanges()
INCOMPLETE = LinkChanges(incomplete=True)


class LinkEvents(Multicast):
    """Subscription to RTNLGRP_LINK. Needs no thread: the kernel queues the messages until the next read."""

    def __init__(self) -> None:
        super().__init__(GROUP_LINK)

    def read(self) -> LinkChanges:
        """Return the changes since the last call."""
        queued = self.drain()
        if queued is None or len(queued) > MAX_DECODED:
            return INCOMPLETE
        if not queued:
            return NO_CHANGES
        names = set()
        for nlmsg_type, payload in queued:
            if nlmsg_type not in {RTM_NEWLINK, RTM_DELLINK} or len(payload) < _IFINFOMSG.size:
                continue
            if (name := _interface_name(payload)) is None:
                return INCOMPLETE
            names.add(name)
        return LinkChanges(frozenset(names))


def _interface_name(payload: bytes) -> str | None:
    """Return IFLA_IFNAME, which every link message has; None without it."""
    raw = attributes(payload, _IFINFOMSG.size).get(_IFLA_IFNAME, b"").rstrip(b"\0")
    return os.fsdecode(raw) if raw else None
