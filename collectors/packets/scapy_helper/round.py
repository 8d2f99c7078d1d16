# SPDX-License-Identifier: GPL-2.0-or-later
"""One round: what is sent when, and what counts as an answer to it."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from scapy.layers.inet import TCP, IPerror, TCPerror
from scapy.layers.inet6 import IPerror6

from collectors.packets.scapy_helper.answers import answer, meaning
from collectors.packets.scapy_helper.flow import Flow, Shot

if TYPE_CHECKING:
    from collectors.packets.scapy_helper.sockets import Wire


class Round:
    """All that is on its way."""

    def __init__(self, wire: Wire, rate: float) -> None:
        self._wire = wire
        self._gap, self._next_send = 1 / rate, 0.0
        self._flows: dict[int, Flow] = {}
        self._by_key: dict[tuple[str, int, str, int], Flow] = {}
        self._timers: list[tuple[float, int, Shot]] = []
        self._serial = itertools.count()
        self._waiting: deque[Shot] = deque()

    def order(self, order: dict[str, Any]) -> None:
        """Take an order; what this host itself refuses is answered at once."""
        try:
            flow = self._flows.get(order["flow"]) or Flow(order)
        except OSError as error:
            answer(order, "local", error=error.errno or 0)
            return
        self._flows[order["flow"]] = self._by_key[flow.key] = flow
        flow.current = Shot(order, flow)
        self._waiting.append(flow.current)

    @property
    def out(self) -> bool:
        """Whether an order is still to be answered."""
        return any(flow.current for flow in self._flows.values())

    def due(self, now: float) -> float:
        """Send what is due; gives the seconds until something is due again."""
        if self._timers and self._timers[0][0] <= now:
            self._wire.hear_all(self.understand)  # on a busy host the answer is here before we are
        while self._timers and self._timers[0][0] <= now:
            shot = heapq.heappop(self._timers)[2]
            if shot.flow.current is shot:
                self._again(shot)
        while self._waiting and self._next_send <= now:
            shot = self._waiting.popleft()
            if shot.flow.current is shot:
                self._send(shot, now)
        soonest = min(self._next_send if self._waiting else now + 1, self._timers[0][0] if self._timers else now + 1)
        return max(0.0, soonest - now)

    def _again(self, shot: Shot) -> None:
        """Queue the next try, or give up and close what may be half open."""
        if shot.sent < shot.order["tries"]:
            self._waiting.append(shot)
            return
        self._reset(shot.flow, shot.flow.sequence + 1)
        self._end(shot, "silent")

    def _send(self, shot: Shot, now: float) -> None:
        """Send one try."""
        shot.sent, shot.at, self._next_send = shot.sent + 1, time.time(), now + self._gap
        try:
            self._wire.put(shot.flow, shot.bytes)
        except OSError as error:
            self._end(shot, "local", error=error.errno or 0)
        else:
            heapq.heappush(self._timers, (now + shot.order["wait"], next(self._serial), shot))

    def _reset(self, flow: Flow, sequence: int) -> None:
        """Leave the peer no half-open connection (RFC 9293 3.5.3: a RST counts where its sequence number is the one awaited)."""
        try:
            self._wire.put(flow, bytes(flow.packet(64, 0, flags="R", seq=sequence & 0xFFFFFFFF)))
        except OSError:
            return  # the way out is closed now; the peer's own timer ends it

    def _end(self, shot: Shot, kind: str, **facts: Any) -> None:  # noqa: ANN401 — of JSON
        """Answer an order; a flow that is not kept gives its port back."""
        flow, shot.flow.current = shot.flow, None
        if not shot.order.get("keep"):
            flow.holder.close()
            del self._flows[shot.order["flow"]], self._by_key[flow.key]
        answer(shot.order, kind, tries=shot.sent, **facts)

    def understand(self, packet: Any, at: float) -> None:  # noqa: ANN401 — scapy's
        """Match by the full tuple and the sequence number; whatever does not match is somebody else's, late, or forged."""
        if TCP in packet:
            self._reply(packet[TCP], self._by_key.get((packet.src, packet[TCP].sport, packet.dst, packet[TCP].dport)), packet, at)
        elif TCPerror in packet:
            quoted, inner = packet[TCPerror], packet[IPerror] if IPerror in packet else packet[IPerror6]
            flow = self._by_key.get((inner.dst, quoted.dport, inner.src, quoted.sport))
            shot = flow.current if flow else None
            if flow and shot and quoted.seq == flow.sequence and shot.tag == (inner.id if flow.version == 4 else quoted.window):  # noqa: PLR2004
                self._end(shot, sender=packet.src, rtt=int((at - shot.at) * 1e6), **meaning(packet))

    def _reply(self, tcp: Any, flow: Flow | None, packet: Any, at: float) -> None:  # noqa: ANN401
        """Take an answer of the target's: RFC 9293 3.10.7.3 says which acknowledgment is one to our SYN."""
        if flow is None:
            return
        shot, synack = flow.current, "S" in tcp.flags and "A" in tcp.flags
        taken = (tcp.ack - flow.sequence - 1) & 0xFFFFFFFF  # of the padding, by the target
        if taken > (shot.padding if shot else 65535) or "A" not in tcp.flags:
            return
        if synack:
            self._reset(flow, tcp.ack)
        if shot:
            mss = next((value for name, value in tcp.options if name == "MSS"), 0)
            hops = packet.ttl if flow.version == 4 else packet.hlim  # noqa: PLR2004
            rtt = int((at - shot.at) * 1e6)
            self._end(shot, "syn_ack" if synack else "reset", sender=packet.src, rtt=rtt, mss=mss, hops=hops)
