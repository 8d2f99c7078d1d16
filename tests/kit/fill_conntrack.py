"""Fills this namespace's connection table with entries that the kernel will not evict: assured UDP flows, by ctnetlink.

The attributes are those of include/uapi/linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

_NESTED = 0x8000
_NETLINK_NETFILTER = 12
_NEW = (1 << 8, 1 | 0x400 | 0x200)  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW; NLM_F_REQUEST | CREATE | EXCL
_FIRST = 0x0A000000  # 10.0.0.0
_AT_ONCE = 64


def fill() -> None:
    most = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())
    pattern = _message(_FIRST)
    address = struct.pack("!I", _FIRST)
    source = pattern.index(address)
    reply = pattern.index(address, source + 4)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        for base in range(0, most + _AT_ONCE, _AT_ONCE):
            out = bytearray()
            for number in range(base, base + _AT_ONCE):
                message = bytearray(pattern)
                message[source : source + 4] = message[reply : reply + 4] = struct.pack("!I", _FIRST + number)
                out += message
            netlink.send(out)
    count = int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())
    assert count >= most, (count, most)


def _message(address: int) -> bytes:
    near, far = struct.pack("!I", address), socket.inet_aton("10.99.0.1")
    body = struct.pack("!BBH", socket.AF_INET, 0, 0) + _tuple(1, near, far, (1000, 53)) + _tuple(2, far, near, (53, 1000))
    body += _attribute(3, struct.pack("!I", 2 | 4 | 8)) + _attribute(7, struct.pack("!I", 600))  # SEEN_REPLY ASSURED CONFIRMED; seconds
    return struct.pack("=IHHII", 16 + len(body), *_NEW, 0, 0) + body


def _tuple(which: int, source: bytes, destination: bytes, ports: tuple[int, int]) -> bytes:
    addresses = _attribute(1 | _NESTED, _attribute(1, source) + _attribute(2, destination))
    protocol = _attribute(1, bytes((socket.IPPROTO_UDP,)))
    protocol += _attribute(2, struct.pack("!H", ports[0])) + _attribute(3, struct.pack("!H", ports[1]))
    return _attribute(which | _NESTED, addresses + _attribute(2 | _NESTED, protocol))


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)
