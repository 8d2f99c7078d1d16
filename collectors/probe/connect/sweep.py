"""Connect sweep: non-blocking connects to many addresses from one thread, on epoll, each timed by the kernel."""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from typing import TYPE_CHECKING

from collectors.probe.connect.icmp_errors import RECVERR
from collectors.probe.connect.local_errors import classify_failure, is_self_connect, system_call_failed
from collectors.probe.connect.result import ProbeResult, Reason
from collectors.probe.targets.target import SocketAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collectors.probe.connect.result import Destination

MAX_IN_FLIGHT = 512  # connects at once: half of the usual soft limit of 1024 descriptors
BATCH = 64  # SYNs that leave together; 4 KB on the wire, and a wake-up costs as much as several probes
QUANTUM = 0.02  # seconds: answers are collected this long before they are read, since a wake-up costs as much as a probe
STOP_SECONDS = 0.25  # until a stop is noticed

_STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_RST_ON_CLOSE = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # l_onoff, l_linger (socket(7)): no TIME_WAIT stays behind
_ESTABLISHED, _SYN_SENT, _CLOSE_WAIT = 1, 2, 8  # include/net/tcp_states.h
_IN_PROGRESS = {0, errno.EINPROGRESS}

# struct tcp_info of include/uapi/linux/tcp.h, the same on every architecture:
# tcpi_state (u8) 0 · tcpi_retrans 36 · tcpi_rtt 68 (µs) · tcpi_total_retrans 100 · tcpi_segs_in 140 (Linux 4.2); all but the first are u32
_TCP_INFO = struct.Struct("=B35xI28xI28xI36xI")


def _tcp_info(sock: socket.SocketType) -> tuple[int, int, int, int, int]:
    """Return state, retransmitted segments in flight, RTT (µs, 0: no sample), retransmissions in all, segments received.

    During a connect the second is 1 when the last retransmitted SYN left this host and 0 when our own side dropped it: it is raised only
    after a successful send (tcp_retransmit_skb() in net/ipv4/tcp_output.c), tcpi_total_retrans before it.
    The RTT excludes retransmissions (RFC 6298 section 3): after one, there is a sample only where both sides use TCP timestamps.
    """
    return _TCP_INFO.unpack(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))


class Sweeper:
    """Runs sweeps, one at a time; `stop()` may come from any thread and ends the one in progress."""

    def __init__(self, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self._max_in_flight = max_in_flight
        self.stopped = False

    def stop(self) -> None:
        """End the sweep in progress, and any later one, within STOP_SECONDS."""
        self.stopped = True

    def run(
        self, destinations: Sequence[Destination], timeout: float, window: float = 0.0, resolve: Callable[[int], Destination] | None = None
    ) -> list[ProbeResult | None]:
        """Probe every destination once; the results are in the order of the destinations.

        The starts are spread over `window` seconds; each probe has `timeout` seconds of its own. A ProbeResult among the destinations
        is its own result. Where there is no address yet (None), `resolve(index)` is called until it returns an address or a result.
        A result is None only if the sweep was stopped before.
        """
        in_flight = _InFlight(destinations, timeout, resolve)
        slots = max(1, min(int(window / 0.01), -(-len(destinations) // BATCH)))
        gap, batch = window / slots, -(-len(destinations) // slots)
        begun = now = time.monotonic()
        try:
            while not self.stopped:
                slot = int((now - begun) / gap) + 1 if gap else slots
                started = in_flight.start(min(slot * batch, len(destinations)), self._max_in_flight)
                if in_flight.is_done():
                    break
                until = begun + slot * gap - now if slot < slots else STOP_SECONDS
                if started and gap:
                    time.sleep(max(0.0, min(until, QUANTUM)))
                    until -= QUANTUM
                    in_flight.collect_started()
                    if in_flight.is_done():
                        break
                now = in_flight.collect(min(until, in_flight.next_deadline(now) - now, STOP_SECONDS))
                in_flight.expire(now)
        finally:
            in_flight.close()
        return in_flight.results


class _InFlight:
    """One sweep's connects: those without an address yet, those in progress, and the results of those that ended."""

    def __init__(self, destinations: Sequence[Destination], timeout: float, resolve: Callable[[int], Destination] | None) -> None:
        self.results: list[ProbeResult | None] = [None] * len(destinations)
        self._destinations = destinations
        self._timeout = timeout
        self._resolve = resolve
        self._next = 0
        self._unresolved: list[int] = []
        self._in_flight: dict[int, tuple[socket.SocketType, int, float]] = {}  # by descriptor, oldest first: socket, index, start
        self._started: list[int] = []  # descriptors that epoll does not watch yet
        self._epoll = select.epoll()

    def is_done(self) -> bool:
        return self._next == len(self._destinations) and not self._in_flight and not self._unresolved

    def next_deadline(self, now: float) -> float:
        """Return the monotonic time of the next timeout or look-up."""
        if self._unresolved:
            return now + QUANTUM
        return next(iter(self._in_flight.values()))[2] + self._timeout if self._in_flight else now + STOP_SECONDS

    def start(self, until: int, max_in_flight: int) -> bool:
        """Start the probes up to that index, `max_in_flight` at most; True if any was started."""
        if self._unresolved:
            self._resolve_again(max_in_flight)
        begin, in_flight, destinations = self._begin, self._in_flight, self._destinations
        first = index = self._next
        while index < until and len(in_flight) < max_in_flight:
            begin(index, destinations[index])
            index += 1
        self._next = index
        return index > first

    def _resolve_again(self, max_in_flight: int) -> None:
        unresolved, self._unresolved = self._unresolved, []
        for index in unresolved:
            has_room = len(self._in_flight) < max_in_flight
            self._begin(index, self._resolve(index) if self._resolve and has_room else None)

    def _begin(self, index: int, destination: Destination) -> None:
        if isinstance(destination, SocketAddress):
            self._connect(index, destination)
        elif destination is None and self._resolve:
            self._unresolved.append(index)
        else:
            self.results[index] = destination or ProbeResult(Reason.OTHER)

    def _connect(self, index: int, address: SocketAddress) -> None:
        try:
            sock = socket.SocketType(address[0], _STREAM, 0)
        except OSError as error:
            self.results[index] = system_call_failed(error.errno or 0)
            return
        sock.setsockopt(*_RST_ON_CLOSE)
        sock.setsockopt(*RECVERR[address[0]])
        started = time.monotonic()
        code = sock.connect_ex(address[1])
        if code not in _IN_PROGRESS:
            sock.close()
            self.results[index] = system_call_failed(code)
            return
        descriptor = sock.fileno()
        self._in_flight[descriptor] = (sock, index, started)
        self._started.append(descriptor)

    def collect_started(self) -> None:
        """Store the results of new connects that ended already: most do, and epoll need not watch those at all."""
        now = time.monotonic()
        self._started = [descriptor for descriptor in self._started if not self._settle(descriptor, now, has_event=False)]

    def collect(self, wait: float) -> float:
        """Store the results of connects that ended, waiting at most that many seconds for the first; return the time after the wait."""
        for descriptor in self._started:
            self._epoll.register(descriptor, select.EPOLLOUT)
        self._started.clear()
        events = self._epoll.poll(max(0.0, wait))
        now = time.monotonic()
        for descriptor, _ in events:
            self._settle(descriptor, now, has_event=True)
        return now

    def _settle(self, descriptor: int, now: float, *, has_event: bool) -> bool:
        """Store the result of a connect and close its socket; False if it is still in progress, without an event for it either."""
        sock, index, started = self._in_flight[descriptor]
        state, retransmits_out, rtt, retransmits, received = _tcp_info(sock)
        if state == _SYN_SENT and not has_event:
            return False
        del self._in_flight[descriptor]
        # A self-connect receives more than one segment, as from a target that sends at once; it has no FIN, as from one that closes.
        if state == _CLOSE_WAIT or (state == _ESTABLISHED and (received == 1 or not is_self_connect(sock))):
            seconds = now - started if retransmits or not rtt else rtt * 1e-6  # the kernel's own, where it can be
            self.results[index] = ProbeResult(Reason.ANSWERED, False, 0, rtt, retransmits, seconds)  # noqa: FBT003 — the hot path
        else:
            blocked = retransmits > 0 and not retransmits_out and not received
            self.results[index] = classify_failure(sock, blocked, retransmits, now - started)
        sock.close()
        return True

    def expire(self, now: float) -> None:
        """End the connects that have taken the whole timeout."""
        while self._in_flight:
            descriptor, (sock, index, started) = next(iter(self._in_flight.items()))
            if now - started < self._timeout:
                return
            del self._in_flight[descriptor]
            state, retransmits_out, rtt, retransmits, received = _tcp_info(sock)
            if state in {_ESTABLISHED, _CLOSE_WAIT}:  # the answer arrived after the last poll
                self.results[index] = ProbeResult(Reason.ANSWERED, False, 0, rtt, retransmits, now - started)  # noqa: FBT003
            elif retransmits and not retransmits_out and not received:
                self.results[index] = ProbeResult(Reason.PERMISSION, True, errno.EPERM, 0, retransmits, now - started)  # noqa: FBT003
            else:
                self.results[index] = ProbeResult(Reason.TIMEOUT, False, errno.ETIMEDOUT, 0, retransmits, now - started)  # noqa: FBT003
            sock.close()

    def close(self) -> None:
        self._epoll.close()
        for sock, _, _ in self._in_flight.values():
            sock.close()
        self._in_flight.clear()
