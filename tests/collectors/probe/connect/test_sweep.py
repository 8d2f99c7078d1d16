"""The connect sweep over loopback, as any user."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from collectors.probe.connect.result import ProbeResult, Reason
from collectors.probe.connect.sweep import Sweeper
from collectors.probe.targets.target import SocketAddress

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        yield server


@pytest.fixture
def full() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return a listener whose accept queue is full, so that the kernel drops every SYN, and the connection that fills it."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()) as filler:
        yield server, filler


def at(server: socket.socket) -> SocketAddress:
    return SocketAddress(socket.AF_INET, server.getsockname())


def closed() -> SocketAddress:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return at(server)


def time_waits(port: int) -> int:
    """Count the TIME_WAIT entries with this port on either side; proc_net_tcp.txt, state 06."""
    with open("/proc/net/tcp") as table:  # noqa: PTH123
        return sum(line.split()[3] == "06" and f":{port:04X} " in line for line in table)


def test_an_answer_has_the_kernels_rtt(listener: socket.socket) -> None:
    (result,) = Sweeper().run([at(listener)], 2.0)
    assert result is not None
    assert (result.reason, result.local_error, result.retransmits) == (Reason.ANSWERED, False, 0)
    assert 0 < result.rtt < 1_000_000
    assert result.seconds == pytest.approx(result.rtt * 1e-6)


@pytest.mark.fault(41)
def test_a_refused_target_is_not_a_timeout() -> None:
    (result,) = Sweeper().run([closed()], 2.0)
    assert result is not None
    assert (result.reason, result.local_error, result.rtt) == (Reason.REFUSED, False, 0)


@pytest.mark.fault(41)
def test_a_full_accept_queue_is_a_timeout_with_its_lost_syns(full: tuple[socket.socket, socket.socket]) -> None:
    (result,) = Sweeper().run([at(full[0])], 1.3)
    assert result is not None
    assert (result.reason, result.local_error) == (Reason.TIMEOUT, False)
    assert result.retransmits >= 1
    assert result.seconds >= 1.3


@pytest.mark.fault(41)
def test_a_connect_that_took_a_second_syn_is_lossy_not_slow(full: tuple[socket.socket, socket.socket]) -> None:
    server, _ = full
    accept = threading.Timer(0.3, server.accept)  # room for the SYN that is sent again after a second
    accept.start()
    (result,) = Sweeper().run([at(server)], 5.0)
    accept.join()
    assert result is not None
    assert result.reason is Reason.ANSWERED
    assert result.retransmits >= 1
    assert result.rtt * 1e-6 < 0.5 < result.seconds


def test_results_are_in_the_order_of_the_destinations_and_no_time_wait_is_left(listener: socket.socket) -> None:
    plan: list[SocketAddress | ProbeResult | None] = [at(listener), closed(), ProbeResult(Reason.DNS_TIMEOUT)] * 50
    results = Sweeper(max_in_flight=8).run(plan, 2.0, window=0.1)
    expected = [Reason.ANSWERED, Reason.REFUSED, Reason.DNS_TIMEOUT] * 50
    assert [result.reason for result in results if result] == expected
    assert time_waits(listener.getsockname()[1]) == 0


def test_no_more_are_in_flight_than_allowed(listener: socket.socket, full: tuple[socket.socket, socket.socket]) -> None:
    most = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.005):
            most = max(most, len(os.listdir("/proc/self/fd")))  # noqa: PTH208

    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    watcher = threading.Thread(target=watch)
    watcher.start()
    results = Sweeper(max_in_flight=10).run([at(full[0])] * 30 + [at(listener)], 0.05)
    done.set()
    watcher.join()
    assert [result.reason for result in results if result] == [Reason.TIMEOUT] * 30 + [Reason.ANSWERED]
    assert most <= before + 12  # with the epoll descriptor and the watcher's own


@pytest.mark.fault(43)
def test_no_descriptor_left_is_a_local_error(listener: socket.socket) -> None:
    sweeper, plan = Sweeper(), [at(listener)] * 3
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as probe:
        room = probe.fileno() + 1  # for the sweep's epoll descriptor and nothing else: descriptors are given out from below
    resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))
    try:
        results = sweeper.run(plan, 2.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [(result.reason, result.local_error) for result in results if result] == [(Reason.LOCAL_RESOURCES, True)] * 3


def test_an_address_that_comes_late_is_probed_and_a_stopped_sweep_ends_soon(listener: socket.socket) -> None:
    asked = []

    def resolve(index: int) -> SocketAddress | None:
        asked.append(index)
        return at(listener) if len(asked) > 3 else None

    results = Sweeper().run([None, closed()], 2.0, resolve=resolve)
    assert [result.reason for result in results if result] == [Reason.ANSWERED, Reason.REFUSED]
    assert set(asked) == {0}

    sweeper = Sweeper()
    stop = threading.Timer(0.05, sweeper.stop)
    stop.start()
    begun = time.monotonic()
    assert sweeper.run([None], 60.0, resolve=lambda _: None) == [None]
    assert time.monotonic() - begun < 10
    stop.join()


def test_starts_are_spread_over_the_window() -> None:
    starts = []
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        address = at(server)

        def resolve(_: int) -> SocketAddress:
            starts.append(time.monotonic())
            return address

        # an address that comes late is asked for in its own slot first
        Sweeper().run([None] * 256, 1.0, window=0.4, resolve=resolve)
    gaps = [after - before for before, after in pairwise(starts)]
    assert len(starts) == 256
    assert sum(gap > 0.05 for gap in gaps) == 3
