# SPDX-License-Identifier: GPL-2.0-or-later
"""One round: the send queue, the timers, and the matching of answers."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from scapy.layers.inet import TCP, IPerror, TCPerror
from scapy.layers.inet6 import IPerror6

from collectors.packets.scapy_helper.answers import parse_icmp, write_answer
from collectors.packets.scapy_helper.flow import Flow, SynProbe

if TYPE_CHECKING:
    from collectors.packets.scapy_helper.sockets import PacketSockets


class Round:
    """All probes of one run of the helper."""

    def __init__(self, sockets: PacketSockets, rate: float) -> None:
        self._sockets = sockets
        self._gap, self._next_send = 1 / rate, 0.0
        self._flows: dict[int, Flow] = {}
        self._by_key: dict[tuple[str, int, str, int], Flow] = {}
        self._timers: list[tuple[float, int, SynProbe]] = []
        self._serial = itertools.count()
        self._waiting: deque[SynProbe] = deque()

    def order(self, order: dict[str, Any]) -> None:
        """Queue an order; one that this host refuses is answered at once."""
        try:
            flow = self._flows.get(order["flow"]) or Flow(order)
        except OSError as error:
            write_answer(order, "local", error=error.errno or 0)
            return
        self._flows[order["flow"]] = self._by_key[flow.key] = flow
        flow.probe = SynProbe(order, flow)
        self._waiting.append(flow.probe)

    @property
    def in_flight(self) -> bool:
        """True while an order is unanswered."""
        return any(flow.probe for flow in self._flows.values())

    def due(self, now: float) -> float:
        """Send what is due; return the seconds until the next probe or time-out is due."""
        if self._timers and self._timers[0][0] <= now:
            self._sockets.receive_all(self.match)  # on a busy host the answer may have arrived before the time-out
        while self._timers and self._timers[0][0] <= now:
            probe = heapq.heappop(self._timers)[2]
            if probe.flow.probe is probe:
                self._retry(probe)
        while self._waiting and self._next_send <= now:
            probe = self._waiting.popleft()
            if probe.flow.probe is probe:
                self._send(probe, now)
        soonest = min(self._next_send if self._waiting else now + 1, self._timers[0][0] if self._timers else now + 1)
        return max(0.0, soonest - now)

    def _retry(self, probe: SynProbe) -> None:
        """Queue the next try, or time out and reset what may be half open."""
        if probe.sent < probe.order["tries"]:
            self._waiting.append(probe)
            return
        self._reset(probe.flow, probe.flow.sequence + 1)
        self._end(probe, "silent")

    def _send(self, probe: SynProbe, now: float) -> None:
        """Send one try."""
        probe.sent, probe.at, self._next_send = probe.sent + 1, time.time(), now + self._gap
        try:
            self._sockets.send(probe.flow, probe.bytes)
        except OSError as error:
            self._end(probe, "local", error=error.errno or 0)
        else:
            heapq.heappush(self._timers, (now + probe.order["wait"], next(self._serial), probe))

    def _reset(self, flow: Flow, sequence: int) -> None:
        """Send a RST, so that the peer keeps no half-open connection (RFC 9293 3.5.3: its sequence number must be the expected one)."""
        try:
            self._sockets.send(flow, bytes(flow.packet(64, 0, flags="R", seq=sequence & 0xFFFFFFFF)))
        except OSError:
            return  # sending fails now; the peer's own timer ends the connection

    def _end(self, probe: SynProbe, kind: str, **facts: Any) -> None:  # noqa: ANN401 — of JSON
        """Answer an order; a flow that is not kept releases its port."""
        flow, probe.flow.probe = probe.flow, None
        if not probe.order.get("keep"):
            flow.holder.close()
            del self._flows[probe.order["flow"]], self._by_key[flow.key]
        write_answer(probe.order, kind, tries=probe.sent, **facts)

    def match(self, packet: Any, at: float) -> None:  # noqa: ANN401 — scapy's
        """Match a packet by the full tuple and the sequence number; one that does not match is another socket's, late, or forged."""
        if TCP in packet:
            self._reply(packet[TCP], self._by_key.get((packet.src, packet[TCP].sport, packet.dst, packet[TCP].dport)), packet, at)
        elif TCPerror in packet:
            quoted, inner = packet[TCPerror], packet[IPerror] if IPerror in packet else packet[IPerror6]
            flow = self._by_key.get((inner.dst, quoted.dport, inner.src, quoted.sport))
            probe = flow.probe if flow else None
            if flow and probe and quoted.seq == flow.sequence and probe.tag == (inner.id if flow.version == 4 else quoted.window):  # noqa: PLR2004
                self._end(probe, sender=packet.src, rtt=int((at - probe.at) * 1e6), **parse_icmp(packet))

    def _reply(self, tcp: Any, flow: Flow | None, packet: Any, at: float) -> None:  # noqa: ANN401
        """Process a TCP answer of the target (RFC 9293 3.10.7.3: which acknowledgment belongs to the SYN)."""
        if flow is None:
            return
        probe, synack = flow.probe, "S" in tcp.flags and "A" in tcp.flags
        acknowledged = (tcp.ack - flow.sequence - 1) & 0xFFFFFFFF  # bytes of the padding
        if acknowledged > (probe.padding if probe else 65535) or "A" not in tcp.flags:
            return
        if synack:
            self._reset(flow, tcp.ack)
        if probe:
            mss = next((value for name, value in tcp.options if name == "MSS"), 0)
            hops = packet.ttl if flow.version == 4 else packet.hlim  # noqa: PLR2004
            rtt = int((at - probe.at) * 1e6)
            self._end(probe, "syn_ack" if synack else "reset", sender=packet.src, rtt=rtt, mss=mss, hops=hops)
