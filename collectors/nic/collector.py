"""The network interfaces: driver in use and after the next boot, offloads, MTU, link, EC2's allowances, collapse of traffic.

The kernel's link events wake it. Most ticks are light: they take the events, glance at the carriers, and give the last reading again where
nothing happened. A full look comes every `full_scan_interval`, and for single interfaces as soon as an event names them.
"""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING, ClassVar

import msgspec

from collectors.collector import Collector
from collectors.files import read_text
from collectors.model import Mode
from collectors.nic.boot.kernel_watcher import DiskWatch
from collectors.nic.checks.allowance import allowance_verdict
from collectors.nic.checks.driver import driver_verdict
from collectors.nic.checks.link_state import link_verdicts, mtu_verdict
from collectors.nic.checks.next_boot import next_boot_verdicts
from collectors.nic.checks.offload import offload_verdict
from collectors.nic.checks.stall import stall_verdict
from collectors.nic.inventory import Inventory
from collectors.nic.metrics import metrics
from collectors.nic.panels import panels
from collectors.nic.readers.interface_reader import Looker
from collectors.nic.readers.link_details import Depth
from collectors.nic.readers.link_events import QUIET, LinkEvents
from collectors.nic.reading import Reading, Sample
from collectors.nic.samples import with_sample
from collectors.nic.settings import Policy  # noqa: TC001 — msgspec reads the annotation
from collectors.settings import Duration, Settings, refuse_unless

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collectors.model import CollectorContext, Metric, Verdict
    from collectors.nic.readers.link_events import News
    from collectors.panel import Panel

GLANCED = 64  # carriers looked at on every tick: the kernel sends the event of a lost carrier up to a second late (net/core/link_watch.c)
DISK_SECONDS = 30.0
FIRST_ANSWER_SECONDS, PATIENCE_OF_PEOPLE = 2.0, 30.0
BASELINE_SECONDS = 0.9  # the second full look comes this soon: `vitald check` looks twice, a second apart


class NicSettings(Settings, frozen=True, kw_only=True):
    """`[nic]`."""

    interval: Duration = Duration(5.0)
    full_scan_interval: Duration = Duration(10.0)
    ignore: tuple[str, ...] = ("lo", "veth*", "docker*", "cni*")
    policy: tuple[Policy, ...] = msgspec.field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Refuse what cannot work; the message begins with the key."""
        Settings.__post_init__(self)
        refuse_unless(5.0 <= self.full_scan_interval <= 30.0, "full_scan_interval: must be between 5s and 30s")  # noqa: PLR2004 — a plateau needs minutes of samples, "now" needs several a minute


class NicCollector(Collector[Reading]):
    """Looks at every interface that is not ignored. The slot remembers since when each is as it is."""

    name = "nic"
    Settings: ClassVar[type[Settings]] = NicSettings
    passes = 2  # allowances are rates
    keep = 1  # the samples are part of the reading: looks come at odd times

    def __init__(self, settings: NicSettings, host: CollectorContext) -> None:
        self._settings, self._host = settings, host
        self._looker = Looker(host, settings.policy)
        self._inventory = Inventory(self._looker, settings.ignore, host.slot)
        self._disk = DiskWatch(host.root, os.uname().machine if self._looker.live else "", DISK_SECONDS)
        self._depth = Depth(wanted=host.mode is Mode.CHECK and self._looker.live)
        self._release = read_text(host.proc / "sys/kernel/osrelease", 256).strip() or os.uname().release
        self._cmdline = read_text(host.proc / "cmdline", 4096)
        self._events: LinkEvents | None = None
        self._samples: tuple[Sample, ...] = ()
        self._last: Reading | None = None
        self._due = 0.0

    def read(self) -> Reading:
        """Look at what changed; at everything when it is time. Unavailable where the host has no interfaces to show."""
        now, wall = time.monotonic(), time.time()
        news = self._news()
        if self._last is None or now >= self._due or news.everything:
            self._look_at_all(now, wall)
        else:
            changed = news.names | self._glance()
            if not changed and self._disk.ask(self._inventory.modules()) is self._last.disk:
                return self._last
            self._inventory.look_at(changed, wall)
        patience = PATIENCE_OF_PEOPLE if self._host.mode is Mode.CHECK else FIRST_ANSWER_SECONDS  # an initramfs takes seconds to unpack
        disk = self._disk.ask(self._inventory.modules(), patience if self._last is None else 0.0)
        known = self._inventory
        nics = tuple(known.nics[name] for name in sorted(known.nics))
        depth = self._depth.ask(known.nics)
        self._last = Reading(wall, self._release, nics, self._samples, known.gone, known.unread, disk, self._cmdline, depth)
        return self._last

    @staticmethod
    def judge(readings: Sequence[Reading], _settings: NicSettings) -> Iterator[Verdict]:
        """Judge every interface."""
        return verdicts(readings[-1])

    @staticmethod
    def measure(reading: Reading, _settings: NicSettings) -> Iterator[Metric]:
        """Return the interfaces' series."""
        return metrics(reading)

    @staticmethod
    def show(readings: Sequence[Reading], _settings: NicSettings) -> Iterator[Panel]:
        """Show the interfaces, and what each installed kernel has for them, in tables."""
        yield from panels(readings[-1])

    def wake_fds(self) -> tuple[int, ...]:
        """Name the socket of the link events: a flap is seen at once."""
        return (self._events.fileno(),) if self._events is not None and self._events.fileno() >= 0 else ()

    def close(self) -> None:
        """Let go of sockets and the thread."""
        self._inventory.save()
        self._disk.close()
        self._looker.close()
        if self._events is not None:
            self._events.close()

    def request_full_scan(self) -> None:
        """Make the next `read()` a full look."""
        self._due = 0.0

    def _look_at_all(self, now: float, wall: float) -> None:
        every = self._settings.full_scan_interval
        apart = 0.9 * every if len(self._samples) > 1 else BASELINE_SECONDS
        self._inventory.look_at_all(wall)
        self._samples = with_sample(self._samples, now, self._inventory.nics, self._looker, self._host.proc, apart=apart)
        ahead = every - self._settings.interval / 2  # the tick that comes next to it is the one
        self._due = now + (max(ahead, every / 2) if len(self._samples) > 1 else BASELINE_SECONDS)

    def _news(self) -> News:
        """Take the kernel's link events. Where that socket cannot be had, full looks alone have to do."""
        if not self._looker.live:
            return QUIET
        if self._events is None:
            try:
                self._events = LinkEvents()
            except OSError:
                return QUIET
        return self._events.news()

    def _glance(self) -> frozenset[str]:
        """Name the interfaces whose carrier count is not what it was."""
        glanced = itertools.islice(self._inventory.nics.values(), GLANCED)
        return frozenset(nic.link.name for nic in glanced if self._looker.carrier_changes(nic.link.name) != nic.link.carrier_changes)


def verdicts(reading: Reading) -> Iterator[Verdict]:
    """Judge every interface in every way."""
    for nic in reading.nics:
        yield driver_verdict(nic, reading.release, reading.wall)
        yield offload_verdict(nic, reading.release)
        yield mtu_verdict(nic, reading.wall)
        allowance = allowance_verdict(nic, reading.samples)
        if allowance is not None:
            yield allowance
        if nic.link.physical:
            yield stall_verdict(nic, reading.samples)
    yield from link_verdicts(reading)
    yield from next_boot_verdicts(reading)
