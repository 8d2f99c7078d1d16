"""rtnetlink's wire: dumps and multicast of links and addresses (include/uapi/linux/{netlink,rtnetlink}.h, rtnetlink(7)).

Needs no capability. Our own, since pyroute2 costs 11 MB for the two kinds of message that are read here.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RTM_NEWLINK, RTM_DELLINK = 16, 17
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
GROUP_LINK, GROUP_IPV4_IFADDR, GROUP_IPV6_IFADDR = 0x1, 0x10, 0x100

_ERROR, _DONE = 2, 3
_REQUEST_DUMP = 0x1 | 0x300
_DUMP_INTERRUPTED = 0x10
_HEADER = struct.Struct("=IHHII")
HEADER_BYTES = _HEADER.size
_ATTRIBUTE = struct.Struct("=HH")
_TYPE_BITS = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_BUFFER = 1 << 16  # the kernel fills at most 32 KiB of a dump at a time, and no event is larger than a page
_ROOM = 1 << 20  # of the socket, for what comes between two looks; without CAP_NET_ADMIN the kernel caps it at net.core.rmem_max
MOST_MESSAGES = 4096  # of one drain: more is a storm, and looking at everything again is cheaper


class Interrupted(OSError):  # noqa: N818 — not an error: ask again
    """The table changed under the dump (NLM_F_DUMP_INTR), or the kernel had no room: what was read is worth nothing."""


def messages(block: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Cut a datagram into (type, flags, whole message); what is left of a broken length is dropped."""
    at = 0
    while at + _HEADER.size <= len(block):
        length, kind, flags, _, _ = _HEADER.unpack_from(block, at)
        if length < _HEADER.size or at + length > len(block):
            return
        yield kind, flags, block[at : at + length]
        at += (length + 3) & ~3


def attributes(message: bytes, fixed: int) -> dict[int, bytes]:
    """Read the attributes after netlink's header and `fixed` bytes of the message's own: type → payload; a broken length ends it."""
    found = {}
    at = _HEADER.size + fixed
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if length < _ATTRIBUTE.size or at + length > len(message):
            break
        found[kind & _TYPE_BITS] = message[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return found


class Multicast:
    """Listens to multicast groups; the kernel keeps the messages until `drain()`."""

    def __init__(self, groups: int) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
            self.socket.bind((0, groups))
        except OSError:
            self.socket.close()
            raise

    def fileno(self) -> int:
        """Give the descriptor that becomes readable when something happened; -1 once closed."""
        return self.socket.fileno()

    def drain(self) -> list[tuple[int, bytes]] | None:
        """Take what has come: (type, message). None where some was lost (ENOBUFS), so that everything must be looked at again."""
        taken: list[tuple[int, bytes]] = []
        lost = False
        while len(taken) < MOST_MESSAGES:
            try:
                block, sender = self.socket.recvfrom(_BUFFER)
            except BlockingIOError:
                return None if lost else taken
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            if sender[0] == 0:  # the kernel's; any process may send to our port
                taken += [(kind, message) for kind, _, message in messages(block)]
        return None

    def close(self) -> None:
        """Let go of the socket."""
        self.socket.close()


def dump_addresses(family: int = socket.AF_UNSPEC) -> list[bytes]:
    """Dump all addresses of this network namespace, as raw RTM_NEWADDR messages. Raises Interrupted, or another OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asked:
        asked.settimeout(5.0)
        asked.bind((0, 0))
        asked.send(_HEADER.pack(_HEADER.size + 8, RTM_GETADDR, _REQUEST_DUMP, 1, 0) + struct.pack("=BBBBi", family, 0, 0, 0, 0))
        found: list[bytes] = []
        while True:
            block, sender = asked.recvfrom(_BUFFER)
            if sender[0] != 0:
                continue
            for kind, flags, message in messages(block):
                if flags & _DUMP_INTERRUPTED:
                    raise Interrupted(errno.EINTR, "the address table changed while it was read")
                if kind == _DONE:
                    return found
                if kind == _ERROR:
                    raise OSError(_refusal(message), "rtnetlink refuses to list addresses")
                found.append(message)


def _refusal(message: bytes) -> int:
    return -int(struct.unpack_from("=i", message, _HEADER.size)[0]) if len(message) >= _HEADER.size + 4 else errno.EBADMSG
