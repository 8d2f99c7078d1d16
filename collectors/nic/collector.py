"""The network interfaces: driver in use and after the next boot, offloads, MTU, link, EC2's allowances, collapse of traffic.

Most ticks are light: they take the kernel's link events, glance at the carriers, and give the last reading again where nothing happened.
A full look comes every `look_every`, and for single interfaces as soon as an event names them.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from collectors.model import Collector, Unavailable
from collectors.nic import memory
from collectors.nic.allowance import allowance_verdict
from collectors.nic.disk import DiskWatch
from collectors.nic.events import QUIET, LinkEvents
from collectors.nic.files import read_text
from collectors.nic.looker import Looker
from collectors.nic.metrics import metrics
from collectors.nic.nextboot import module_of, next_boot_verdicts
from collectors.nic.policy import Policy, matches
from collectors.nic.reading import Nic, Reading, Sample
from collectors.nic.snmp import read_tcp
from collectors.nic.stall import stall_verdict
from collectors.nic.verdicts import driver_verdict, link_verdicts, mtu_verdict, offload_verdict
from collectors.settings import Duration, Settings, refuse_unless

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.model import Host, Metric, Verdict
    from collectors.nic.events import News

MOST_INTERFACES = 1000
MOST_SAMPLED = 32  # interfaces with a device behind them whose traffic is kept: an instance has 15 at most
KEPT_SECONDS = 600.0  # of samples
GONE_SECONDS = 600.0  # how long an interface that vanished is spoken of
GLANCED = 64  # carriers looked at on every tick: the kernel sends the event of a lost carrier up to a second late (net/core/link_watch.c)
DISK_SECONDS = 30.0
FIRST_ANSWER_SECONDS = 2.0


class NicSettings(Settings, frozen=True, kw_only=True):
    """`[nic]`."""

    every: Duration = Duration(0.5)
    look_every: Duration = Duration(10.0)
    ignore: tuple[str, ...] = ("lo", "veth*", "docker*", "cni*")
    policy: tuple[Policy, ...] = msgspec.field(default_factory=tuple)

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_unless(5.0 <= self.look_every <= 30.0, "look_every: must be between 5s and 30s")  # noqa: PLR2004 — a plateau needs minutes of samples, "now" needs several a minute


class NicCollector(Collector[Reading]):
    """`[nic]`. The slot remembers since when each interface is as it is."""

    name = "nic"
    Settings = NicSettings
    keep = 1  # the samples are part of the reading: looks come at odd times

    def __init__(self, settings: NicSettings, host: Host) -> None:
        self._settings, self._host = settings, host
        self._looker = Looker(host, settings.policy)
        self._events: LinkEvents | None = None
        self._disk = DiskWatch(host.root, os.uname().machine, DISK_SECONDS)
        self._release = read_text(host.proc / "sys/kernel/osrelease", 256).strip() or os.uname().release
        self._memory: memory.Memory | None = None
        self._nics: dict[str, Nic] = {}
        self._samples: tuple[Sample, ...] = ()
        self._gone: dict[str, float] = {}
        self._last: Reading | None = None
        self._judged: tuple[Reading | None, tuple[Verdict, ...]] = (None, ())
        self._measured: tuple[Reading | None, tuple[Metric, ...]] = (None, ())
        self._due = 0.0

    def read(self) -> Reading:
        """Look at what changed; at everything when it is time. Unavailable where the host has no interfaces to show."""
        now, wall = time.monotonic(), time.time()
        first = self._last is None
        news = self._news()
        if self._last is not None and now < self._due and not news.everything:
            changed = news.names | self._glance()
            disk = self._disk.ask(self._drivers())
            if not changed and disk is self._last.disk:
                return self._last
            names, unread = [name for name in changed if not matches(name, self._settings.ignore)], self._last.unread
            self._look_again(names, wall)
        else:
            unread = self._look(wall)
            self._take_sample(now)
            self._due = now + self._settings.look_every
        self._gone = {name: at for name, at in self._gone.items() if 0 <= wall - at < GONE_SECONDS}
        disk = self._disk.ask(self._drivers(), FIRST_ANSWER_SECONDS if first else 0.0)
        nics = tuple(self._nics[name] for name in sorted(self._nics))
        self._last = Reading(wall, self._release, nics, self._samples, self._gone, unread, disk)
        return self._last

    def judge(self, readings: Sequence[Reading]) -> tuple[Verdict, ...]:
        """Judge every interface; a reading that is given again means what it meant."""
        reading = readings[-1]
        if self._judged[0] is not reading:
            self._judged = reading, tuple(self._verdicts(reading))
        return self._judged[1]

    def _verdicts(self, reading: Reading) -> Iterator[Verdict]:
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

    def measure(self, reading: Reading) -> tuple[Metric, ...]:
        """Say it as numbers, once for each reading."""
        if self._measured[0] is not reading:
            self._measured = reading, tuple(metrics(reading))
        return self._measured[1]

    def close(self) -> None:
        """Let go of sockets and the thread."""
        self._disk.close()
        self._looker.close()
        if self._events is not None:
            self._events.close()

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
        glanced = list(self._nics.values())[:GLANCED]
        return frozenset(nic.link.name for nic in glanced if self._looker.carrier_changes(nic.link.name) != nic.link.carrier_changes)

    def _drivers(self) -> tuple[str, ...]:
        return tuple(sorted({module for nic in self._nics.values() if nic.link.physical and (module := module_of(nic))}))

    def _look(self, wall: float) -> int:
        """Look at every interface; give how many were too many."""
        try:
            names = [name for name in self._looker.interfaces() if not matches(name, self._settings.ignore)]
        except FileNotFoundError as error:
            raise Unavailable("missing", f"no interfaces under {error.filename}") from error
        except PermissionError as error:
            raise Unavailable("permission", f"may not list {error.filename}") from error
        self._look_again([*names[:MOST_INTERFACES], *(set(self._nics) - set(names))], wall)
        return max(0, len(names) - MOST_INTERFACES)

    def _look_again(self, names: Sequence[str], wall: float) -> None:
        """Look at these interfaces, and drop those that are there no more."""
        if self._memory is None:
            self._memory = memory.restore(self._host.slot.load())
        learned = False
        for name in names:
            before = self._nics.get(name)
            nic = self._looker.look(name, before)
            if nic is None:
                self._drop(name, wall)
            elif before is not nic and (before is not None or len(self._nics) < MOST_INTERFACES):
                self._gone.pop(name, None)
                if memory.note(self._memory, name, memory.facts(nic), wall):
                    learned = True
                self._nics[name] = replace(nic, changes=dict(self._memory.get(name, {})))
        if learned:
            memory.shrink(self._memory, self._nics)
            self._host.slot.save(memory.dump(self._memory))

    def _drop(self, name: str, wall: float) -> None:
        """Forget an interface; one with a device behind it is spoken of for a while, unless it only changed its name."""
        nic = self._nics.pop(name, None)
        self._looker.forget(name)
        if nic is None or not nic.link.physical:
            return
        if all(other.index != nic.link.index for other in self._looker.present()):
            self._gone = {**self._gone, name: wall}

    def _take_sample(self, now: float) -> None:
        """Keep what rates are made of, once in `look_every`; equal tables are kept once."""
        if self._samples and now - self._samples[-1].at < 0.9 * self._settings.look_every:
            return  # this look came early, since events were lost
        sampled = [nic for nic in self._nics.values() if nic.link.physical or nic.counters.allowances][:MOST_SAMPLED]
        traffic = {nic.link.name: seen for nic in sampled if (seen := self._looker.traffic(nic.link.name)) is not None}
        counters = {nic.link.name: nic.counters for nic in sampled}
        carriers: Mapping[str, int] = {name: nic.link.carrier_changes for name, nic in self._nics.items()}
        if self._samples and self._samples[-1].carrier_changes == carriers:
            carriers = self._samples[-1].carrier_changes
        recent = tuple(sample for sample in self._samples if now - sample.at <= KEPT_SECONDS)
        self._samples = (*recent, Sample(now, read_tcp(self._host.proc), traffic, counters, carriers))
