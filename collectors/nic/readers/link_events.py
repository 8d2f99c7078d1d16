"""Link events, as the kernel tells them: which interfaces to look at again."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from collectors.netlink.message import attributes
from collectors.netlink.rtnetlink import GROUP_LINK, RTM_DELLINK, RTM_NEWLINK, Multicast

_IFINFO = struct.Struct("=BxHiII")  # struct ifinfomsg
_IFNAME = 3  # include/uapi/linux/if_link.h
MOST_DECODED = 128  # messages in one drain; beyond that everything is looked at, which is cheaper


@dataclass(frozen=True, slots=True)
class News:
    """Which interfaces changed, came or went since the last look. `everything`: messages were lost, or too many to read one by one."""

    names: frozenset[str] = frozenset()
    everything: bool = False

    def __bool__(self) -> bool:
        return self.everything or bool(self.names)


QUIET = News()
OVERFLOW = News(everything=True)


class LinkEvents:
    """A socket in the LINK group. Nothing sleeps in it: the kernel keeps the messages, and the next tick takes them."""

    def __init__(self) -> None:
        self._multicast = Multicast(GROUP_LINK)

    def fileno(self) -> int:
        """Give the descriptor that becomes readable when something happened; -1 once closed."""
        return self._multicast.fileno()

    def news(self) -> News:
        """Take what has come since the last call."""
        taken = self._multicast.drain()
        if taken is None or len(taken) > MOST_DECODED:
            return OVERFLOW
        if not taken:
            return QUIET
        names = set()
        for kind, message in taken:
            if kind not in {RTM_NEWLINK, RTM_DELLINK} or len(message) < _IFINFO.size:
                continue
            name = _name(message)
            if name is None:
                return OVERFLOW
            names.add(name)
        return News(frozenset(names))

    def close(self) -> None:
        """Let go of the socket."""
        self._multicast.close()


def _name(message: bytes) -> str | None:
    """Read IFLA_IFNAME, which every link message has; None where it has not."""
    raw = attributes(message, _IFINFO.size).get(_IFNAME, b"").rstrip(b"\0")
    return os.fsdecode(raw) if raw else None
