"""Half an hour of normal operation, which must not page.

Deploys, reloads and reboots; logs that are written, rotated, and whose daemon is restarted; leases that are renewed; traffic up and down.
"""

from __future__ import annotations

import contextlib
import math
import random
import signal
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Self

from tests.kit import syslog
from tests.kit.results import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.drills.lab import Lab, LabHost
    from tests.drills.watch import Watch

BULK = 7002
MOST = 20_000_000  # bytes a second, at the top of the hill
HILL_SECONDS = 600.0
REBOOT_SECONDS = 25.0
REBOOTED = ("a2", "b3", "b2")


class Traffic:
    """Bytes from one host to another, as many as a working day over ten minutes: up, down, and nothing for a while."""

    def __init__(self, source: LabHost, sink: LabHost) -> None:
        self._ending = threading.Event()
        self._listener = sink.network.call(socket.create_server, (sink.address, BULK))
        self._source = source.network.call(socket.create_connection, (sink.address, BULK))
        self._sink = self._listener.accept()[0]
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        began, tenth = time.monotonic(), bytes(MOST // 10)
        while not self._ending.wait(0.1):
            height = max(0.0, math.sin(2 * math.pi * (time.monotonic() - began) / HILL_SECONDS))
            self._source.sendall(tenth[: int(len(tenth) * height)])

    def _receive(self) -> None:
        with contextlib.suppress(OSError):
            while self._sink.recv(1 << 20):
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._threads[0].join()
        for end in (self._source, self._sink, self._listener):
            end.close()


class Chatter:
    """What ordinary hosts write into their logs, a few lines a second on each, through its rsyslogd."""

    def __init__(self, hosts: Iterable[LabHost]) -> None:
        self._hosts, self._ending = list(hosts), threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)

    def _talk(self) -> None:
        rng = random.Random(7)  # noqa: S311 — a seed, not a secret
        while not self._ending.wait(0.5):
            for host in self._hosts:
                tag, _, text = syslog.usual(rng).partition(": ")
                host.syslog.say(text, tag.partition("[")[0])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()


def _deploy(host: LabHost) -> None:
    host.signal(signal.SIGTERM)
    time.sleep(6)  # the old one has saved its state and is gone within five seconds
    host.start()


def _reboot(lab: Lab, host: LabHost) -> None:
    host.signal(signal.SIGTERM)
    host.service.close()
    host.syslog.close()
    lab.hub.run("ip", "link", "set", host.wire, "nomaster")
    time.sleep(REBOOT_SECONDS)
    lab.hub.run("ip", "link", "set", host.wire, "master", f"zone-{host.zone}")
    host.syslog.start()
    host.service.start()
    host.start()


def _logrotate(lab: Lab) -> None:
    for host in lab.hosts.values():
        host.syslog.rotate()


def _life(lab: Lab) -> Iterator[Callable[[], None]]:
    """Yield the next event, without end; one a minute."""
    while True:
        for host, rebooted in zip(lab.hosts.values(), REBOOTED * 2, strict=True):
            yield partial(_deploy, host)
            yield partial(_logrotate, lab)
            yield partial(host.signal, signal.SIGHUP)
            yield partial(_reboot, lab, lab.hosts[rebooted])
            yield host.syslog.restart


def quiet(lab: Lab, watch: Watch, minutes: float) -> Row:
    """Live for so long, and count who was told of anything."""
    seen, began = len(watch.pager.notices), time.monotonic()
    events = 0
    with Traffic(lab.hosts["a1"], lab.hosts["b1"]), Chatter(lab.hosts.values()):
        for event in _life(lab):
            event()
            events += 1
            time.sleep(max(0.0, min(60.0, began + minutes * 60 - time.monotonic())))
            if time.monotonic() >= began + minutes * 60:
                break
    told = [notice for notice in watch.pager.notices[seen:] if not notice.resolved]
    pages = [notice for notice in told if notice.receiver == "page"]
    words = ", ".join(sorted({f"{notice.alert} on {notice.host}" for notice in told})) or "nothing"
    return Row(
        f"{minutes:g} min of normal life: deploys, reloads, reboots, logs written and rotated, renewals, traffic up and down",
        "0 pages",
        f"{len(pages)} pages, {len(told) - len(pages)} tickets in {events} events",
        f"told: {words}",
        "-",
        met=not pages,
        reason="" if minutes >= 30 else "shorter than half an hour",
    )
