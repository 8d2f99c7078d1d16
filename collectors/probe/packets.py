# SPDX-License-Identifier: GPL-2.0-or-later
"""Crafted SYNs: `python -Im collectors.probe.packets RATE SECONDS`, a program of its own, since scapy is GPL-2.0 and takes 34 MB.

It imports nothing of vitald's, needs CAP_NET_RAW, and lives for one round: until its input ends and all is answered, SECONDS at most.
One JSON object a line comes in for each SYN wanted, one goes out for each answer:

    {"id": 1, "flow": 1, "source": "10.0.0.1", "target": "10.0.0.2", "port": 22, "size": 9001, "mss": 8961, "ttl": 64,
     "tries": 3, "wait": 0.2}
    {"id": 1, "kind": "syn_ack", "sender": "10.0.0.2", "rtt": 187, "mss": 1460, "mtu": 0, "hops": 64, "code": 0, "tries": 1, "error": 0}

`size` is the whole IP packet in bytes, 0 for a bare SYN; the same SYN leaves `tries` times, `wait` seconds apart, not above RATE packets
a second. Orders of one `flow` share port and sequence number, as if sent again; the flow ends with the first without `"keep": true`.
`kind` is `syn_ack`, `reset`, `too_big` (a router's, with its `mtu`), `expired` (on the way), `unreachable` (with ICMP's `code`), `silent`,
or `local` (`error` is the errno of this host's own no). `rtt` is in µs from the last try, by the kernel's clock at arrival. The first line
is {"ready": true}, or {"fatal": errno, "detail": ...}.

Nothing of the host's is disturbed: each flow's source port is held (the kernel's choice, so nobody else has it) by a listener that takes
only packets with a TTL of 255 (IP_MINTTL): tcp_v4_rcv() finds an owner for the SYN-ACK, drops it, and sends no RST of its own. Ours goes
out, with or without an answer, and the peer is left no half-open connection. (A filter on the listener would do as well, but Linux 6.18
lets only CAP_NET_ADMIN attach one to a TCP socket.) Answers are read before netfilter: what our own firewall drops is no silence.
"""

from __future__ import annotations

import contextlib
import ctypes
import heapq
import ipaddress
import itertools
import json
import logging
import os
import random
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from typing import Any

with contextlib.suppress(OSError):
    os.nice(19)  # its half second of imports must not take a small host's CPU from the daemon
logging.getLogger("scapy").setLevel(logging.CRITICAL)  # it would speak of missing routes
from scapy.layers.inet import ICMP, IP, TCP, IPerror, TCPerror  # noqa: E402
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPerror6, IPv6  # noqa: E402
from scapy.packet import Raw  # noqa: E402

SO_ATTACH_FILTER, SO_TIMESTAMPNS, ETH_P_IP, ETH_P_IPV6 = 26, 35, 0x0800, 0x86DD  # asm-generic/socket.h, linux/if_ether.h
MTU_DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}  # linux/in.h, in6.h
PROBE = 3  # IP_PMTUDISC_PROBE: DF is set, and what the kernel has learnt of the path is not asked
MIN_TTL = {4: (socket.IPPROTO_IP, 21), 6: (socket.IPPROTO_IPV6, 73)}  # IP_MINTTL of linux/in.h, IPV6_MINHOPCOUNT of linux/in6.h
# Classic BPF (linux/filter.h) on the network header: (SYN and ACK) or RST, and the ICMP errors; all else stays in the kernel.
ONLY_ANSWERS = {
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


class Flow:
    """A source port of our own towards one port of the target, and the sequence number of all its SYNs."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.source, self.target, self.port = order["source"], order["target"], order["port"]
        self.version = ipaddress.ip_address(self.target.partition("%")[0]).version
        zone = self.target.partition("%")[2]
        self.scope = socket.if_nametoindex(zone) if zone else 0
        self.sequence = random.getrandbits(32)
        self.current: Shot | None = None
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
        """Craft the headers; the tag tells the flow's SYNs apart in what routers quote."""
        host, source = self.key[0], self.key[2]
        ip = IP(src=source, dst=host, ttl=ttl, id=tag, flags="DF") if self.version == 4 else IPv6(src=source, dst=host, hlim=ttl)  # noqa: PLR2004
        return ip / TCP(sport=self.sport, dport=self.port, window=tag, **tcp)


class Shot:
    """One order on its way."""

    def __init__(self, order: dict[str, Any], flow: Flow) -> None:
        self.order, self.flow, self.tag = order, flow, 0x4000 | order["id"] & 0x3FFF
        self.sent = 0
        self.at = 0.0
        options = [("MSS", order["mss"]), ("SAckOK", b""), ("Timestamp", (order["id"], 0)), ("NOP", None), ("WScale", 7)]
        packet = flow.packet(order["ttl"], self.tag, flags="S", seq=flow.sequence, options=options)
        self.padding = max(0, order["size"] - len(bytes(packet))) if order["size"] else 0
        self.bytes = bytes(packet / Raw(bytes(self.padding))) if self.padding else bytes(packet)


class Round:
    """All that is on its way, and the sockets it goes by."""

    def __init__(self, rate: float) -> None:
        self.gap, self.next_send = 1 / rate, 0.0
        self.flows: dict[int, Flow] = {}
        self.by_key: dict[tuple[str, int, str, int], Flow] = {}
        self.timers: list[tuple[float, int, Shot]] = []
        self.serial = itertools.count()
        self.waiting: deque[Shot] = deque()
        self.out, self.heard = {}, {}
        for version, family, kind in ((4, socket.AF_INET, ETH_P_IP), (6, socket.AF_INET6, ETH_P_IPV6)):
            if version == 6 and not os.path.exists("/proc/net/if_inet6"):  # noqa: PLR2004, PTH110 — a host without IPv6
                continue
            out = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_RAW)
            out.setsockopt(*MTU_DISCOVER[version], PROBE)
            heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(kind))
            attach(heard, ONLY_ANSWERS[version])
            heard.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self.out[version], self.heard[heard.fileno()] = out, (heard, IP if version == 4 else IPv6)  # noqa: PLR2004

    def order(self, order: dict[str, Any]) -> None:
        """Take an order; what this host itself refuses is answered at once."""
        try:
            flow = self.flows.get(order["flow"]) or Flow(order)
        except OSError as error:
            answer(order, "local", error=error.errno or 0)
            return
        self.flows[order["flow"]] = self.by_key[flow.key] = flow
        flow.current = Shot(order, flow)
        self.waiting.append(flow.current)

    def due(self, now: float) -> float:
        """Send what is due; gives the seconds until something is due again."""
        if self.timers and self.timers[0][0] <= now:
            self.hear_all()  # on a busy host the answer is here before we are
        while self.timers and self.timers[0][0] <= now:
            shot = heapq.heappop(self.timers)[2]
            if shot.flow.current is shot:
                self.again(shot)
        while self.waiting and self.next_send <= now:
            shot = self.waiting.popleft()
            if shot.flow.current is shot:
                self.send(shot, now)
        soonest = min(self.next_send if self.waiting else now + 1, self.timers[0][0] if self.timers else now + 1)
        return max(0.0, soonest - now)

    def again(self, shot: Shot) -> None:
        """Queue the next try, or give up and close what may be half open."""
        if shot.sent < shot.order["tries"]:
            self.waiting.append(shot)
            return
        self.reset(shot.flow, shot.flow.sequence + 1)
        self.end(shot, "silent")

    def send(self, shot: Shot, now: float) -> None:
        """Send one try."""
        shot.sent, shot.at, self.next_send = shot.sent + 1, time.time(), now + self.gap
        try:
            self.put(shot.flow, shot.bytes)
        except OSError as error:
            self.end(shot, "local", error=error.errno or 0)
        else:
            heapq.heappush(self.timers, (now + shot.order["wait"], next(self.serial), shot))

    def put(self, flow: Flow, data: bytes) -> None:
        """Hand a packet to the routing of this host."""
        address = (flow.key[0], 0) if flow.version == 4 else (flow.key[0], 0, 0, flow.scope)  # noqa: PLR2004
        self.out[flow.version].sendto(data, address)

    def reset(self, flow: Flow, sequence: int) -> None:
        """Leave the peer no half-open connection (RFC 9293 3.5.3: a RST counts where its sequence number is the one awaited)."""
        try:
            self.put(flow, bytes(flow.packet(64, 0, flags="R", seq=sequence & 0xFFFFFFFF)))
        except OSError:
            return  # the way out is closed now; the peer's own timer ends it

    def end(self, shot: Shot, kind: str, **facts: Any) -> None:  # noqa: ANN401 — of JSON
        """Answer an order; a flow that is not kept gives its port back."""
        flow, shot.flow.current = shot.flow, None
        if not shot.order.get("keep"):
            flow.holder.close()
            del self.flows[shot.order["flow"]], self.by_key[flow.key]
        answer(shot.order, kind, tries=shot.sent, **facts)

    def hear_all(self) -> None:
        """Read what has come on all sockets."""
        for descriptor in self.heard:
            self.hear(descriptor)

    def hear(self, descriptor: int) -> None:
        """Read what has come on one socket."""
        heard, layer = self.heard[descriptor]
        while True:
            try:
                data, ancillary, _, _ = heard.recvmsg(2048, 64, socket.MSG_DONTWAIT)
            except OSError:
                return
            at = next(
                (s + ns * 1e-9 for _, kind, raw in ancillary if kind == SO_TIMESTAMPNS for s, ns in struct.iter_unpack("@ll", raw)), 0.0
            )
            try:
                self.understand(layer(data), at or time.time())
            except Exception:  # noqa: BLE001, S112 — anybody may send us anything; what scapy cannot take apart is no answer
                continue

    def understand(self, packet: Any, at: float) -> None:  # noqa: ANN401 — scapy's
        """Match by the full tuple and the sequence number; whatever does not match is somebody else's, late, or forged."""
        if TCP in packet:
            self.reply(packet[TCP], self.by_key.get((packet.src, packet[TCP].sport, packet.dst, packet[TCP].dport)), packet, at)
        elif TCPerror in packet:
            quoted, inner = packet[TCPerror], packet[IPerror] if IPerror in packet else packet[IPerror6]
            flow = self.by_key.get((inner.dst, quoted.dport, inner.src, quoted.sport))
            shot = flow.current if flow else None
            if flow and shot and quoted.seq == flow.sequence and shot.tag == (inner.id if flow.version == 4 else quoted.window):  # noqa: PLR2004
                self.end(shot, sender=packet.src, rtt=int((at - shot.at) * 1e6), **meaning(packet))

    def reply(self, tcp: Any, flow: Flow | None, packet: Any, at: float) -> None:  # noqa: ANN401
        """Take an answer of the target's: RFC 9293 3.10.7.3 says which acknowledgment is one to our SYN."""
        if flow is None:
            return
        shot, synack = flow.current, "S" in tcp.flags and "A" in tcp.flags
        taken = (tcp.ack - flow.sequence - 1) & 0xFFFFFFFF  # of the padding, by the target
        if taken > (shot.padding if shot else 65535) or "A" not in tcp.flags:
            return
        if synack:
            self.reset(flow, tcp.ack)
        if shot:
            mss = next((value for name, value in tcp.options if name == "MSS"), 0)
            hops = packet.ttl if flow.version == 4 else packet.hlim  # noqa: PLR2004
            rtt = int((at - shot.at) * 1e6)
            self.end(shot, "syn_ack" if synack else "reset", sender=packet.src, rtt=rtt, mss=mss, hops=hops)


def meaning(packet: Any) -> dict[str, Any]:  # noqa: ANN401
    """Name an ICMP error: RFC 792, RFC 1191 section 4, RFC 4443."""
    if ICMP in packet:
        icmp = packet[ICMP]
        if icmp.type == 11:  # noqa: PLR2004
            return {"kind": "expired"}
        too_big = icmp.code == 4  # noqa: PLR2004
        return {"kind": "too_big", "mtu": icmp.nexthopmtu} if too_big else {"kind": "unreachable", "code": icmp.code}
    if ICMPv6PacketTooBig in packet:
        return {"kind": "too_big", "mtu": packet[ICMPv6PacketTooBig].mtu}
    return {"kind": "expired"} if ICMPv6TimeExceeded in packet else {"kind": "unreachable", "code": packet[ICMPv6DestUnreach].code}


def answer(order: dict[str, Any], kind: str, **facts: Any) -> None:  # noqa: ANN401
    """Answer an order."""
    blank = {"sender": "", "rtt": 0, "mss": 0, "mtu": 0, "hops": 0, "code": 0, "tries": 0, "error": 0}
    say({"id": order["id"], "kind": kind, **blank, **facts})


def say(words: dict[str, Any]) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def attach(sock: socket.socket, program: tuple[tuple[int, int, int, int], ...]) -> None:
    """Set a socket's filter: struct sock_fprog."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code)))


def main(rate: float, seconds: float) -> None:
    """Work off the orders."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: never outlive the daemon
    signal.setitimer(signal.ITIMER_REAL, seconds)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
        score.write("500")  # where memory is short, this goes before the daemon does
    try:
        one = Round(rate)
    except OSError as error:
        say({"fatal": error.errno, "detail": str(error)})
        return
    say({"ready": True})
    reading, rest = [0], b""
    while True:
        wait = one.due(time.monotonic())
        if not reading and not any(flow.current for flow in one.flows.values()):
            return
        for descriptor in select.select([*reading, *one.heard], [], [], wait)[0]:
            if descriptor:
                one.hear(descriptor)
                continue
            data = os.read(0, 65536)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                one.order(json.loads(line))
            reading = reading if data else []


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
