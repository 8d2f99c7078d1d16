# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets of a round: raw sockets send, packet sockets receive before netfilter."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from collectors.packets.scapy_helper.flow import Flow

SO_ATTACH_FILTER, SO_TIMESTAMPNS, ETH_P_IP, ETH_P_IPV6 = 26, 35, 0x0800, 0x86DD  # asm-generic/socket.h, linux/if_ether.h
MTU_DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}  # linux/in.h, in6.h
PROBE = 3  # IP_PMTUDISC_PROBE: set DF and ignore the path MTU that the kernel has learned
# Classic BPF (linux/filter.h) on the network header: accepts (SYN and ACK) or RST, and ICMP errors.
ANSWER_FILTER = {
    4: (
        *((0x30, 0, 0, 9), (0x15, 0, 6, 6), (0xB1, 0, 0, 0), (0x50, 0, 0, 13), (0x54, 0, 0, 0x16), (0x15, 7, 0, 0x12), (0x45, 6, 0, 4)),
        *((0x06, 0, 0, 0), (0x15, 0, 5, 1), (0xB1, 0, 0, 0), (0x50, 0, 0, 0), (0x15, 1, 0, 11), (0x15, 0, 1, 3), (0x06, 0, 0, 2048)),
        *((0x06, 0, 0, 0),),
    ),
    6: (
        *((0x30, 0, 0, 6), (0x15, 0, 5, 6), (0x30, 0, 0, 53), (0x54, 0, 0, 0x16), (0x15, 5, 0, 0x12), (0x45, 4, 0, 4), (0x06, 0, 0, 0)),
        *((0x15, 0, 3, 58), (0x30, 0, 0, 40), (0x35, 1, 0, 4), (0x06, 0, 0, 2048), (0x06, 0, 0, 0)),
    ),
}


class PacketSockets:
    """One sending and one receiving socket per IP version. The constructor raises OSError without CAP_NET_RAW."""

    def __init__(self) -> None:
        self._out: dict[int, socket.socket] = {}
        self._receivers: dict[int, tuple[socket.socket, Any]] = {}
        for version, family, kind, layer in ((4, socket.AF_INET, ETH_P_IP, IP), (6, socket.AF_INET6, ETH_P_IPV6, IPv6)):
            if version == 6 and not os.path.exists("/proc/net/if_inet6"):  # noqa: PLR2004, PTH110 — a host without IPv6
                continue
            out = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_RAW)
            out.setsockopt(*MTU_DISCOVER[version], PROBE)
            receiver = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(kind))
            attach(receiver, ANSWER_FILTER[version])
            receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._out[version], self._receivers[receiver.fileno()] = out, (receiver, layer)

    @property
    def descriptors(self) -> Iterable[int]:
        """Descriptors that become readable when a packet arrives."""
        return self._receivers.keys()

    def send(self, flow: Flow, data: bytes) -> None:
        """Send a packet by this host's routing table."""
        address = (flow.key[0], 0) if flow.version == 4 else (flow.key[0], 0, 0, flow.scope)  # noqa: PLR2004
        self._out[flow.version].sendto(data, address)

    def receive_all(self, match: Callable[[Any, float], None]) -> None:
        """Read all sockets."""
        for descriptor in self._receivers:
            self.receive(descriptor, match)

    def receive(self, descriptor: int, match: Callable[[Any, float], None]) -> None:
        """Read one socket until it is empty; call `match` with each packet and the Unix time of its arrival."""
        receiver, layer = self._receivers[descriptor]
        while True:
            try:
                data, ancillary, _, _ = receiver.recvmsg(2048, 64, socket.MSG_DONTWAIT)
            except OSError:
                return
            at = next(
                (s + ns * 1e-9 for _, kind, raw in ancillary if kind == SO_TIMESTAMPNS for s, ns in struct.iter_unpack("@ll", raw)), 0.0
            )
            try:
                match(layer(data), at or time.time())
            except Exception:  # noqa: BLE001, S112 — any host may send anything; what scapy cannot parse is no answer
                continue


def attach(sock: socket.socket, program: tuple[tuple[int, int, int, int], ...]) -> None:
    """Attach a socket filter: struct sock_fprog."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code)))
