"""Inventory of the interfaces: read one by one or all together, with their change history, and those that vanished lately."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from collectors.interfaces import matches_any
from collectors.model import Unavailable
from collectors.nic import change_history, last_boot
from collectors.nic.checks.next_boot import module_of
from collectors.nic.last_boot import LastBoot
from collectors.nic.readers.tcp_counters import read_tcp
from collectors.nic.reading import Change  # noqa: TC001 — msgspec reads the annotation
from collectors.nic.samples import Sample
from collectors.state import State, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from collectors.model import Slot
    from collectors.nic.readers.interface_reader import InterfaceReader
    from collectors.nic.reading import LostInterface, Nic

MAX_INTERFACES = 1000
MAX_SAMPLED = 32  # interfaces with a device whose byte counters are kept: an instance has 15 at most
GONE_SECONDS = 600.0  # how long an interface that vanished is reported


class BootIdentity(NamedTuple):
    """This boot, and the machine it is of; empty where unknown."""

    boot: str = ""
    host: str = ""


NO_BOOT = BootIdentity()


class NicState(State, frozen=True):
    """State of the collector."""

    changes: dict[Text, dict[Text, Change]] = msgspec.field(default_factory=dict)
    last_boot: LastBoot = LastBoot()


class Inventory:
    """`nics` by name; `gone`: interfaces with a device that vanished lately, and the Unix time; `skipped`: interfaces beyond the limit.

    Not thread-safe.
    """

    def __init__(self, reader: InterfaceReader, ignore: Sequence[str], slot: Slot, boot: BootIdentity = NO_BOOT) -> None:
        self._reader, self._ignore, self._slot, self._boot = reader, ignore, slot, boot
        self._history: change_history.ChangeHistory | None = None
        self._last_boot = LastBoot()
        self._unsaved = False
        self.nics: dict[str, Nic] = {}
        self.gone: Mapping[str, float] = {}
        self.skipped = 0

    def scan(self, wall: float) -> None:
        """Read every interface. Raises Unavailable where they cannot be listed."""
        try:
            names = [name for name in self._reader.interfaces() if not matches_any(name, self._ignore)]
        except FileNotFoundError as error:
            raise Unavailable("failing", f"no interfaces under {error.filename}") from error  # every kernel with a network has it
        except PermissionError as error:
            raise Unavailable("permission", f"may not list {error.filename}") from error
        self.refresh([*names[:MAX_INTERFACES], *(set(self.nics) - set(names))], wall)
        self.skipped = max(0, len(names) - MAX_INTERFACES)
        known = self._last_boot
        if self._boot != NO_BOOT:
            known = last_boot.update(known, self._boot.boot, self._boot.host, self.nics.values())
        self._unsaved |= known != self._last_boot
        self._last_boot = known
        self.save()

    def refresh(self, names: Iterable[str], wall: float) -> None:
        """Read these interfaces, and drop those that are gone."""
        if self._history is None:
            saved = self._slot.load(NicState)
            self._history, self._last_boot = change_history.restore(saved.changes), saved.last_boot
        for name in names:
            before = self.nics.get(name)
            if matches_any(name, self._ignore):
                continue
            if (nic := self._reader.read(name, before)) is None:
                self._drop(name, wall)
            elif before is not nic and (before is not None or len(self.nics) < MAX_INTERFACES):
                self.gone = {other: at for other, at in self.gone.items() if other != name}
                self._unsaved |= change_history.record(self._history, name, change_history.tracked_facts(nic), wall)
                self.nics[name] = replace(nic, changes=dict(self._history.get(name, {})))
        if self.gone:
            self.gone = {name: at for name, at in self.gone.items() if 0 <= wall - at < GONE_SECONDS}

    def sample(self, now: float, proc: Path, last: Sample | None) -> Sample:
        """Return a sample of all counters; a table that equals the last sample's is that one."""
        sampled = [nic for nic in self.nics.values() if nic.link.physical or nic.counters.allowances][:MAX_SAMPLED]
        traffic = {nic.link.name: found for nic in sampled if (found := self._reader.byte_counters(nic.link.name)) is not None}
        counters = {nic.link.name: nic.counters for nic in sampled}
        carriers: Mapping[str, int] = {name: nic.link.carrier_changes for name, nic in self.nics.items()}
        if last is not None and last.carrier_changes == carriers:
            carriers = last.carrier_changes
        return Sample(now, read_tcp(proc), traffic, counters, carriers)

    def save(self) -> None:
        """Save the change history where it changed: with full scans and at the end, so that a flapping interface causes few writes."""
        if self._unsaved and self._history is not None:
            change_history.prune(self._history, self.nics)
            self._slot.save(NicState(changes=change_history.dump(self._history), last_boot=self._last_boot))
            self._unsaved = False

    def lost(self) -> tuple[LostInterface, ...]:
        """Return the interfaces of the last boot that this one lacks, but for ignored ones."""
        return tuple(lost for lost in self._last_boot.lost if not matches_any(lost.name, self._ignore))

    def modules(self) -> tuple[str, ...]:
        """Return the names of the modules that the interfaces with a device need."""
        return tuple(sorted({module for nic in self.nics.values() if nic.link.physical and (module := module_of(nic))}))

    def _drop(self, name: str, wall: float) -> None:
        """Drop an interface; one with a device is reported as gone for a while, unless it was only renamed."""
        nic = self.nics.pop(name, None)
        self._reader.discard(name)
        if nic is None or not nic.link.physical:
            return
        if all(other.index != nic.link.index for other in self._reader.links()):
            self.gone = {**self.gone, name: wall}
