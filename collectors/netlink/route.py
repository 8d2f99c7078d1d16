"""Routes and neighbour states from rtnetlink(7) (include/uapi/linux/rtnetlink.h, neighbour.h). Needs no capability."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, NamedTuple

from collectors.netlink.message import NLM_F_DUMP, attributes, connect_to_kernel, pack_attribute, request

if TYPE_CHECKING:
    from collections.abc import Iterator

_RTM_GETROUTE, _RTM_GETNEIGH = 26, 30
_RTMSG, _NDMSG = struct.Struct("=8BI"), struct.Struct("=BxHiHBB")  # struct rtmsg, struct ndmsg
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC, _RTA_METRICS, _RTA_CACHEINFO, _RTA_VIA = 1, 4, 5, 7, 8, 12, 18
_RTAX_MTU, _NDA_DST = 2, 1
_RTN_LOCAL = 2
_SIOCGIFMTU = 0x8921  # netdevice(7)
_NUD_STATES = ("INCOMPLETE", "REACHABLE", "STALE", "DELAY", "PROBE", "FAILED", "NOARP", "PERMANENT")  # by bit, from 0x01 on
_TIMEOUT = struct.pack("ll", 1, 0)  # struct timeval: the kernel answers at once, but a read must not block


class Route(NamedTuple):
    """Route to an address.

    `gateway` is empty where the target is on the link itself. `mtu` is the largest packet in bytes that may leave: the interface's, or
    less where the route says so. `path_mtu` is what the kernel learned from ICMP, 0 for nothing. `local`: the target is this host.
    """

    interface: str
    gateway: str
    source: str
    mtu: int
    path_mtu: int
    local: bool


def zoned(sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """Return the host of a socket address, with the zone that a link-local one needs (RFC 4007 11). Raises OSError if that is gone."""
    scope = sockaddr[3] if len(sockaddr) == 4 else 0  # noqa: PLR2004 — AF_INET6: host, port, flow label, scope
    return f"{sockaddr[0]}%{socket.if_indextoname(scope)}" if scope and "%" not in sockaddr[0] else sockaddr[0]


def route(address: str) -> Route:
    """Return the kernel's route to an address (`fe80::1%eth0` with its zone). Raises OSError: ENETUNREACH and others of the kernel."""
    host, _, zone = address.partition("%")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    question = pack_attribute(_RTA_DST, socket.inet_pton(family, host))
    if zone:
        question += pack_attribute(_RTA_OIF, struct.pack("=i", socket.if_nametoindex(zone)))
    for body in _ask(_RTM_GETROUTE, 0, _RTMSG.pack(family, 128 if family == socket.AF_INET6 else 32, 0, 0, 0, 0, 0, 0, 0) + question):
        if len(body) < _RTMSG.size:
            break
        kind, found = _RTMSG.unpack_from(body)[7], attributes(body, _RTMSG.size)
        interface = socket.if_indextoname(_number(found.get(_RTA_OIF, b"")))
        gateway = _text(found.get(_RTA_GATEWAY, b"")) or _text(found.get(_RTA_VIA, b"")[2:])
        device_mtu = interface_mtu(interface)
        metric_mtu = _number(attributes(found.get(_RTA_METRICS, b"")).get(_RTAX_MTU, b""))
        learned = _number(found.get(_RTA_CACHEINFO, b"")[8:12]) != 0  # rta_expires
        mtu = min(device_mtu, metric_mtu) if metric_mtu and not learned else device_mtu
        return Route(interface, gateway, _text(found.get(_RTA_PREFSRC, b"")), mtu, metric_mtu if learned else 0, kind == _RTN_LOCAL)
    raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))


def neighbours(family: int) -> dict[tuple[str, str], str]:
    """Return the NUD state of every neighbour by interface and address: `REACHABLE`, `STALE`, `INCOMPLETE`, `FAILED` and so on."""
    table, names = {}, dict(socket.if_nameindex())
    for body in _ask(_RTM_GETNEIGH, NLM_F_DUMP, _NDMSG.pack(family, 0, 0, 0, 0, 0)):
        if len(body) < _NDMSG.size:
            continue
        _, _, index, state, _, _ = _NDMSG.unpack_from(body)
        address = _text(attributes(body, _NDMSG.size).get(_NDA_DST, b""))
        table[names.get(index, str(index)), address] = next((name for bit, name in enumerate(_NUD_STATES) if state >> bit & 1), "NONE")
    return table


def neighbour(chosen: Route, target: str) -> str:
    """Return the NUD state of the next hop to a target; empty where there is no entry: with tunnels, and before the first packet."""
    hop = chosen.gateway or target.partition("%")[0]
    return neighbours(socket.AF_INET6 if ":" in hop else socket.AF_INET).get((chosen.interface, hop), "")


def interface_mtu(interface: str) -> int:
    """Return an interface's MTU in bytes. Raises OSError where it is gone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        reply = fcntl.ioctl(sock, _SIOCGIFMTU, struct.pack("16sI20x", interface.encode(), 0))
    return int(struct.unpack_from("16xI", reply)[0])


def _ask(nlmsg_type: int, flags: int, payload: bytes) -> Iterator[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEOUT)
        connect_to_kernel(sock)
        yield from request(sock, nlmsg_type, flags, payload)


def _number(value: bytes) -> int:
    """Return a 32-bit number; 0, which is no interface and no MTU, for an attribute that is missing or of another length."""
    return int.from_bytes(value, sys.byteorder) if len(value) == 4 else 0  # noqa: PLR2004


def _text(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6 if len(address) == 16 else socket.AF_INET, address) if len(address) in {4, 16} else ""  # noqa: PLR2004
