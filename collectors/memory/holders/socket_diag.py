"""Every socket's memory: inet_diag, unix_diag, netlink_diag and packet_diag with SK_MEMINFO (sock_diag(7)).

By hand, with `struct`: 10,000 sockets take a tenth of a second, which a general netlink library spends on its dictionaries alone.
Needs no capability, also for other users' sockets, but reads only the network namespace of this process.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from collectors.netlink.message import NLM_F_DUMP, attributes, connect_to_kernel, request

if TYPE_CHECKING:
    from collections.abc import Iterator

NETLINK_SOCK_DIAG = 4  # linux/netlink.h
SOCK_DIAG_BY_FAMILY = 20  # linux/sock_diag.h
UNIX_DIAG_PEER = 2  # linux/unix_diag.h
ALL_BUT_TIME_WAIT = 0xFFFFFFFF & ~(1 << 6)  # a socket in TIME_WAIT has no buffers and no owner

_MEMINFO = struct.Struct("=8I")  # linux/sock_diag.h: rmem_alloc rcvbuf wmem_alloc sndbuf fwd_alloc wmem_queued optmem backlog (drops)
_U32 = struct.Struct("=I")


class Socket(NamedTuple):
    """Bytes as the kernel charges them, with its overhead. `received` is not yet read by the owner, `queued` not yet by the peer.

    `inode` is 0 where no process holds it any more. `peer` is an address, or a unix socket's other end as `inode:N`.
    """

    kind: str
    inode: int
    received: int
    queued: int
    peer: str

    @property
    def memory(self) -> int:
        """The sum of both."""
        return self.received + self.queued


def sockets(limit: int) -> Iterator[Socket]:
    """Yield at most `limit` sockets of this network namespace, in the kernel's order. A kind that the kernel cannot list is left out."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as channel:
        channel.settimeout(5.0)
        connect_to_kernel(channel)
        own = os.fstat(channel.fileno()).st_ino
        for kind, payload, offset, attribute in _REQUESTS:
            with contextlib.suppress(OSError):
                for message in request(channel, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, payload):
                    if len(message) < offset:
                        continue
                    found = _socket(kind, message, offset, attribute)
                    if found.inode != own:
                        yield found
                    limit -= 1
                    if limit <= 0:
                        return


def _inet(family: int, protocol: int) -> bytes:
    skmeminfo = 1 << (7 - 1)  # INET_DIAG_SKMEMINFO = 7
    return struct.pack("=BBBBI48x", family, protocol, skmeminfo, 0, ALL_BUT_TIME_WAIT)


_AF_PACKET, _AF_NETLINK = 17, 16
_REQUESTS = (  # kind, payload, length of the fixed part of an answer, nla_type of the memory attribute
    ("tcp", _inet(socket.AF_INET, socket.IPPROTO_TCP), 72, 7),
    ("tcp", _inet(socket.AF_INET6, socket.IPPROTO_TCP), 72, 7),
    ("udp", _inet(socket.AF_INET, socket.IPPROTO_UDP), 72, 7),
    ("udp", _inet(socket.AF_INET6, socket.IPPROTO_UDP), 72, 7),
    ("unix", struct.pack("=BBHIII8x", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, 0x04 | 0x20), 16, 5),  # UDIAG_SHOW_PEER | UDIAG_SHOW_MEMINFO
    ("netlink", struct.pack("=BBHII8x", _AF_NETLINK, 255, 0, 0, 0x01), 28, 0),  # NDIAG_PROTO_ALL, NDIAG_SHOW_MEMINFO
    ("packet", struct.pack("=BBHII8x", _AF_PACKET, 0, 0, 0, 0x10), 16, 6),  # PACKET_SHOW_MEMINFO
)


def _socket(kind: str, message: bytes, offset: int, attribute: int) -> Socket:
    received = queued = 0
    found = attributes(message, offset)
    meminfo = found.get(attribute, b"")
    if len(meminfo) >= _MEMINFO.size:
        rmem_alloc, _, wmem_alloc, _, fwd_alloc, wmem_queued, optmem, backlog = _MEMINFO.unpack_from(meminfo)
        received, queued = rmem_alloc + backlog, max(wmem_alloc, wmem_queued) + fwd_alloc + optmem
    if kind in {"tcp", "udp"}:
        return Socket(kind, _U32.unpack_from(message, 68)[0], received, queued, _peer(message))
    inode = _U32.unpack_from(message, 16 if kind == "netlink" else 4)[0]
    peer = found.get(UNIX_DIAG_PEER, b"") if kind == "unix" else b""
    return Socket(kind, inode, received, queued, f"inode:{_U32.unpack(peer)[0]}" if len(peer) == _U32.size else "")


def _peer(message: bytes) -> str:
    family = message[0]
    if not (port := int.from_bytes(message[6:8], "big")):
        return ""
    if family == socket.AF_INET:
        return f"{socket.inet_ntop(socket.AF_INET, message[24:28])}:{port}"
    return f"[{socket.inet_ntop(socket.AF_INET6, message[24:40])}]:{port}"
