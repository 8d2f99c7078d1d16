"""The sweep: many connects in one thread, on non-blocking sockets and epoll, each timed by the kernel."""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from typing import TYPE_CHECKING

from collectors.probe.connect import icmp_errors as icmp
from collectors.probe.connect import tcp_info
from collectors.probe.connect.local_errors import failure, to_itself
from collectors.probe.connect.outcome import Outcome, Reason, refused_by_ourselves
from collectors.probe.targets.target import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Planned = Address | Outcome | None

IN_FLIGHT = 512  # connects at once: half of the usual soft limit of 1024 descriptors
BATCH = 64  # SYNs that leave together; 4 KB on the wire, and a wake-up costs as much as several probes
QUANTUM = 0.02  # seconds: answers are collected this long before they are looked at, since a wake-up costs as much as a probe
PATIENCE = 0.25  # seconds until a stop is noticed

_STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_RST_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: l_onoff, l_linger (socket(7)); no TIME_WAIT stays behind
_CONNECTED = {tcp_info.ESTABLISHED, tcp_info.CLOSE_WAIT}
_UNDER_WAY = {0, errno.EINPROGRESS}


class Sweeper:
    """Runs sweeps, one at a time; `stop()` may come from any thread and ends the one that is out."""

    def __init__(self, in_flight: int = IN_FLIGHT) -> None:
        self._in_flight = in_flight
        self.stopped = False

    def stop(self) -> None:
        """End the sweep that is out, and any later one, within a quarter of a second."""
        self.stopped = True

    def run(
        self, plan: Sequence[Planned], timeout: float, window: float = 0.0, late: Callable[[int], Planned] | None = None
    ) -> list[Outcome | None]:
        """Probe every address of the plan once; the outcomes stand in the plan's order.

        The starts are spread over `window` seconds; each probe has `timeout` seconds of its own. An Outcome in the plan is its own
        outcome. Where there is no address yet (None), `late(index)` is asked again and again until it has an address or an outcome.
        An outcome is None only if the sweep was stopped before.
        """
        flights = _Flights(plan, timeout, late)
        slots = max(1, min(int(window / 0.01), -(-len(plan) // BATCH)))
        gap, batch = window / slots, -(-len(plan) // slots)
        begun = now = time.monotonic()
        try:
            while not self.stopped:
                slot = int((now - begun) / gap) + 1 if gap else slots
                started = flights.start(min(slot * batch, len(plan)), self._in_flight)
                if flights.done():
                    break
                until = begun + slot * gap - now if slot < slots else PATIENCE
                if started and gap:
                    time.sleep(max(0.0, min(until, QUANTUM)))
                    until -= QUANTUM
                now = flights.land(min(until, flights.next_deadline(now) - now, PATIENCE))
                flights.expire(now)
        finally:
            flights.close()
        return flights.outcomes


class _Flights:
    """One sweep's connects: those that wait for an address, those on their way, and the outcomes of those that ended."""

    def __init__(self, plan: Sequence[Planned], timeout: float, late: Callable[[int], Planned] | None) -> None:
        self.outcomes: list[Outcome | None] = [None] * len(plan)
        self._plan = plan
        self._timeout = timeout
        self._late = late
        self._next = 0
        self._waiting: list[int] = []
        self._flying: dict[int, tuple[socket.SocketType, int, float]] = {}  # by descriptor, the oldest first
        self._epoll = select.epoll()

    def done(self) -> bool:
        return self._next == len(self._plan) and not self._flying and not self._waiting

    def next_deadline(self, now: float) -> float:
        """Say when to look again if nothing lands before."""
        if self._waiting:
            return now + QUANTUM
        return next(iter(self._flying.values()))[2] + self._timeout if self._flying else now + PATIENCE

    def start(self, until: int, in_flight: int) -> bool:
        """Start the plan's probes up to that index, as far as there is room; True when any was started."""
        before = self._next
        flying, plan = self._flying, self._plan
        if self._waiting:
            self._ask_again(in_flight)
        while self._next < until and len(flying) < in_flight:
            self._begin(self._next, plan[self._next])
            self._next += 1
        return self._next > before

    def _ask_again(self, in_flight: int) -> None:
        waiting, self._waiting = self._waiting, []
        for index in waiting:
            room = len(self._flying) < in_flight
            self._begin(index, self._late(index) if self._late and room else None)

    def _begin(self, index: int, planned: Planned) -> None:
        if planned is None and self._late:
            self._waiting.append(index)
        elif isinstance(planned, Address):
            self._connect(index, planned)
        else:
            self.outcomes[index] = planned or Outcome(Reason.OTHER)

    def _connect(self, index: int, address: Address) -> None:
        try:
            sock = socket.SocketType(address.family, _STREAM, 0)
        except OSError as error:
            self.outcomes[index] = refused_by_ourselves(error.errno or 0)
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        sock.setsockopt(*icmp.RECVERR[address.family])
        started = time.monotonic()
        code = sock.connect_ex(address.sockaddr)
        if code not in _UNDER_WAY:
            sock.close()
            self.outcomes[index] = refused_by_ourselves(code)
            return
        descriptor = sock.fileno()
        self._flying[descriptor] = (sock, index, started)
        self._epoll.register(descriptor, select.EPOLLOUT)

    def land(self, wait: float) -> float:
        """Take in what ended, waiting at most that many seconds for the first; gives the time after the wait."""
        events = self._epoll.poll(max(0.0, wait))
        now = time.monotonic()
        for descriptor, mask in events:
            sock, index, started = self._flying.pop(descriptor)
            _, in_flight, rtt, retransmits, received = tcp_info.look(sock)
            if mask == select.EPOLLOUT and (received == 1 or not to_itself(sock)):
                seconds = now - started if retransmits or not rtt else rtt * 1e-6  # the kernel's own, where it can be
                self.outcomes[index] = Outcome(Reason.ANSWERED, False, 0, rtt, retransmits, seconds)  # noqa: FBT003 — the hot path
            else:
                blocked = retransmits > 0 and not in_flight and not received
                self.outcomes[index] = failure(sock, blocked, retransmits, now - started)
            sock.close()
        return now

    def expire(self, now: float) -> None:
        """Give up what has been on its way for the whole timeout."""
        while self._flying:
            descriptor, (sock, index, started) = next(iter(self._flying.items()))
            if now - started < self._timeout:
                return
            del self._flying[descriptor]
            state, in_flight, rtt, retransmits, received = tcp_info.look(sock)
            if state in _CONNECTED:  # the answer came while we looked elsewhere
                self.outcomes[index] = Outcome(Reason.ANSWERED, False, 0, rtt, retransmits, now - started)  # noqa: FBT003
            elif retransmits and not in_flight and not received:
                self.outcomes[index] = Outcome(Reason.PERMISSION, True, errno.EPERM, 0, retransmits, now - started)  # noqa: FBT003
            else:
                self.outcomes[index] = Outcome(Reason.TIMEOUT, False, errno.ETIMEDOUT, 0, retransmits, now - started)  # noqa: FBT003
            sock.close()

    def close(self) -> None:
        self._epoll.close()
        for sock, _, _ in self._flying.values():
            sock.close()
        self._flying.clear()
