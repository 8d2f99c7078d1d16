"""ICMP errors of a connect, from the socket's error queue: `struct sock_extended_err` of include/uapi/linux/errqueue.h."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from socket import SocketType

# IP_RECVERR and IPV6_RECVERR, which Python 3.11's socket module lacks: include/uapi/linux/in.h and in6.h
RECVERR: dict[int, tuple[int, int, int]] = {socket.AF_INET: (socket.IPPROTO_IP, 11, 1), socket.AF_INET6: (socket.IPPROTO_IPV6, 25, 1)}

_EXTENDED_ERROR = struct.Struct("=IBBBxII")
_ORIGIN_ICMP, _ORIGIN_ICMP6 = 2, 3
_OFFENDER = {  # family, offset and length of the address in the sockaddr that follows (SO_EE_OFFENDER)
    _ORIGIN_ICMP: (socket.AF_INET, _EXTENDED_ERROR.size + 4, 4),
    _ORIGIN_ICMP6: (socket.AF_INET6, _EXTENDED_ERROR.size + 8, 16),
}


class IcmpError(NamedTuple):
    """An ICMP error about one of our SYNs: the errno the kernel maps it to, ICMP type and code, its sender, and the SYN's destination."""

    error: int
    type: int
    code: int
    sender: str
    target: str

    @property
    def is_from_target(self) -> bool:
        """True if the SYN's destination itself sent the error."""
        return self.sender == self.target


def read(sock: SocketType) -> IcmpError | None:
    """Return the first ICMP error queued for this socket, if any; never blocks. RECVERR must have been set before connect.

    The destination is in msg_name, from the packet in the error (ip_recv_error() in net/ipv4/ip_sockglue.c): getpeername(2) has none
    for a connect that failed.
    """
    try:
        _, ancillary, _, target = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except OSError:
        return None
    for _, _, data in ancillary:
        if len(data) < _EXTENDED_ERROR.size:
            continue
        error, origin, kind, code, _, _ = _EXTENDED_ERROR.unpack_from(data)
        family, offset, length = _OFFENDER.get(origin, (0, 0, 0))
        if length and len(data) >= offset + length:
            return IcmpError(error, kind, code, socket.inet_ntop(family, data[offset : offset + length]), target[0] if target else "")
    return None
