# SPDX-License-Identifier: GPL-2.0-or-later
"""A flow: one source port to one target port, and the SYNs sent on it."""

from __future__ import annotations

import ipaddress
import random
import socket
from typing import Any

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

MIN_TTL = {4: (socket.IPPROTO_IP, 21), 6: (socket.IPPROTO_IPV6, 73)}  # IP_MINTTL of linux/in.h, IPV6_MINHOPCOUNT of linux/in6.h


class Flow:
    """One source port, held by a listener, one port of the target, and the sequence number of all its SYNs."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.source, self.target, self.port = order["source"], order["target"], order["port"]
        self.version = ipaddress.ip_address(self.target.partition("%")[0]).version
        zone = self.target.partition("%")[2]
        self.scope = socket.if_nametoindex(zone) if zone else 0
        self.sequence = random.getrandbits(32)
        self.probe: SynProbe | None = None
        family = socket.AF_INET if self.version == 4 else socket.AF_INET6  # noqa: PLR2004
        self.holder = socket.socket(family, socket.SOCK_STREAM)
        try:
            self.holder.setsockopt(*MIN_TTL[self.version], 255)
            self.holder.bind((self.source, 0) if self.version == 4 else (self.source, 0, 0, self.scope))  # noqa: PLR2004
            self.holder.listen(1)
        except OSError:
            self.holder.close()
            raise
        self.sport = self.holder.getsockname()[1]
        self.key = (self.target.partition("%")[0], self.port, self.source.partition("%")[0], self.sport)

    def packet(self, ttl: int, tag: int, **tcp: Any) -> Any:  # noqa: ANN401 — scapy's
        """Build the headers; `tag` identifies the SYN in the packet that an ICMP error quotes."""
        host, source = self.key[0], self.key[2]
        ip = IP(src=source, dst=host, ttl=ttl, id=tag, flags="DF") if self.version == 4 else IPv6(src=source, dst=host, hlim=ttl)  # noqa: PLR2004
        return ip / TCP(sport=self.sport, dport=self.port, window=tag, **tcp)


class SynProbe:
    """One SYN of an order, and its tries so far."""

    def __init__(self, order: dict[str, Any], flow: Flow) -> None:
        self.order, self.flow, self.tag = order, flow, 0x4000 | order["id"] & 0x3FFF
        self.sent = 0
        self.at = 0.0
        options = [("MSS", order["mss"]), ("SAckOK", b""), ("Timestamp", (order["id"], 0)), ("NOP", None), ("WScale", 7)]
        packet = flow.packet(order["ttl"], self.tag, flags="S", seq=flow.sequence, options=options)
        self.padding = max(0, order["size"] - len(bytes(packet))) if order["size"] else 0
        self.bytes = bytes(packet / Raw(bytes(self.padding))) if self.padding else bytes(packet)
