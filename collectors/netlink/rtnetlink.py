"""rtnetlink links and addresses: dumps and multicast events (include/uapi/linux/rtnetlink.h, rtnetlink(7)). Needs no capability."""

from __future__ import annotations

import errno
import socket
import struct

from collectors.netlink.message import NLM_F_DUMP, connect_to_kernel, messages, receive, request

RTM_NEWLINK, RTM_DELLINK = 16, 17
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
GROUP_LINK, GROUP_IPV4_IFADDR, GROUP_IPV6_IFADDR = 0x1, 0x10, 0x100
MAX_MESSAGES = 4096  # of one drain: more is a storm, and reading everything again is cheaper

_SOCKET_TYPE = socket.SOCK_RAW | socket.SOCK_CLOEXEC
_RCVBUF = 1 << 20  # bytes, for events between two reads; without CAP_NET_ADMIN the kernel caps it at net.core.rmem_max
_DUMP_SECONDS = 5.0


class Multicast:
    """Subscription to multicast groups; the kernel queues the messages until `drain()`."""

    def __init__(self, groups: int) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, _SOCKET_TYPE | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RCVBUF)
            self.socket.bind((0, groups))
            connect_to_kernel(self.socket)
        except OSError:
            self.socket.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor that is readable while messages are queued; -1 once closed."""
        return self.socket.fileno()

    def drain(self) -> list[tuple[int, bytes]] | None:
        """Return the queued messages as (nlmsg_type, payload); None where some were lost (ENOBUFS) or there are too many: dump again."""
        drained: list[tuple[int, bytes]] = []
        lost = False
        for _ in range(MAX_MESSAGES):  # datagrams, those of other processes too: they must not keep us here
            try:
                datagram = receive(self.socket)
            except BlockingIOError:
                return None if lost else drained
            except OSError as error:
                if error.errno not in {errno.ENOBUFS, errno.EMSGSIZE}:
                    raise
                lost = True
                continue
            drained += [(nlmsg_type, payload) for nlmsg_type, _, payload in messages(datagram or b"")]
        return None

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


def dump_addresses(family: int = socket.AF_UNSPEC) -> list[bytes]:
    """Dump all addresses of this network namespace as payloads of RTM_NEWADDR. Raises DumpInterrupted or another OSError."""
    with socket.socket(socket.AF_NETLINK, _SOCKET_TYPE, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(_DUMP_SECONDS)
        connect_to_kernel(sock)
        return list(request(sock, RTM_GETADDR, NLM_F_DUMP, struct.pack("=BBBBi", family, 0, 0, 0, 0)))
