"""Counts events and keeps the faults that are going on. No clock, no I/O: it is told the time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from collectors.logs.state import Fault
from collectors.model import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.logs.clock import Timestamp
    from collectors.logs.matching.packs import Signature
    from collectors.logs.sources.event import LogEvent
    from collectors.logs.state import LogsState

_INSTANCES = 64  # instances a signature is followed for apart; the others are one
OTHER = "other"
_LEVELS = {"warning": Level.WARNING, "critical": Level.CRITICAL}


class Tally:
    """Running totals for every signature, and the faults by (signature, instance)."""

    def __init__(self, signatures: Iterable[Signature], state: LogsState, now: Timestamp, *, same_boot: bool) -> None:
        """Go on with what was saved. Ages are kept: by the clock since boot within one boot, by the wall's across boots."""
        self._signatures = {signature.id: signature for signature in signatures}
        self.events = {name: state.events.get(name, 0) for name in self._signatures}
        self.last_seen = {name: at for name, at in state.last_seen.items() if name in self._signatures}
        shift = 0.0 if same_boot else now.boottime - state.boottime - max(0.0, now.wall - state.wall)
        self._faults = {
            (fault.signature, fault.instance): msgspec.structs.replace(fault, boottime=min(now.boottime, fault.boottime + shift))
            for fault in state.faults
            if fault.signature in self._signatures
        }
        self._recent: dict[str, dict[str, deque[float]]] = {
            name: {
                instance: deque((min(now.boottime, at + shift) for at in times), maxlen=escalate.count)
                for instance, times in instances.items()
            }
            for name, instances in state.recent.items()
            if name in self._signatures and (escalate := self._signatures[name].escalate)
        }
        self._clears: dict[str, list[str]] = {}
        for signature in self._signatures.values():
            for recovery in signature.cleared_by:
                self._clears.setdefault(recovery, []).append(signature.id)

    def add(self, event: LogEvent, now: Timestamp) -> None:
        """Count an event, and draw its consequences: a fault begins, goes on or ends."""
        signature = event.signature
        name = signature.id
        self.events[name] += event.times
        self.last_seen[name] = max(self.last_seen.get(name, 0.0), min(event.at, now.wall))
        boottime = now.boottime - now.age(event.at)
        for cleared in self._clears.get(name, ()):
            self._clear(cleared, event.instance, boottime)
        if (level := _LEVELS.get(signature.severity)) is not None:
            self._touch(event, level, boottime)
        if signature.escalate is not None and self._too_often(event, boottime):
            self._touch(event, _LEVELS[signature.escalate.severity], boottime)

    def _touch(self, event: LogEvent, level: Level, boottime: float) -> None:
        name, at = event.signature.id, event.at
        key = (name, self._instance(event, [instance for signature, instance in self._faults if signature == name]))
        old = self._faults.get(key)
        if old is None or boottime - old.boottime >= event.signature.window:
            old = Fault(signature=name, instance=key[1], level=level, count=0, first=at, last=at, boottime=boottime, line=event.line)
        newest = (
            {"last": at, "boottime": boottime, "line": event.line, "level": level}
            if boottime >= old.boottime
            else {"first": min(at, old.first)}
        )  # sources are not read in the order of time
        self._faults[key] = msgspec.structs.replace(old, count=old.count + event.times, **newest)

    def _instance(self, event: LogEvent, known: list[str]) -> str:
        return event.instance if event.instance in known or len(known) < _INSTANCES else OTHER

    def _too_often(self, event: LogEvent, boottime: float) -> bool:
        """Say whether this is one of so many within so long."""
        escalate = event.signature.escalate
        assert escalate is not None  # noqa: S101 — for mypy
        instances = self._recent.setdefault(event.signature.id, {})
        times = instances.setdefault(self._instance(event, list(instances)), deque(maxlen=escalate.count))
        times.extend([boottime] * min(event.times, escalate.count))
        return len(times) == escalate.count and max(times) - min(times) <= escalate.within

    def _clear(self, name: str, instance: str, boottime: float) -> None:
        """End the faults of a signature, of the instance that recovered; where a line names none, of all."""
        for key, fault in list(self._faults.items()):
            if key[0] == name and _same(key[1], instance) and fault.boottime <= boottime:
                del self._faults[key]
        escalate = self._signatures[name].escalate
        if escalate is not None and escalate.unless_cleared:
            instances = self._recent.get(name, {})
            for other in [other for other in instances if _same(other, instance)]:
                del instances[other]

    @property
    def dhcp_fails(self) -> bool:
        """Say whether a DHCP fault is going on that a recovery would end."""
        return any(self._renewable(name) for name, _ in self._faults)

    def renewed(self, at: Mapping[str, float]) -> bool:
        """End DHCP faults of interfaces whose leases were set since; a fault that names none, when all leases were. True: some ended."""
        ended = [
            key
            for key, fault in self._faults.items()
            if self._renewable(key[0])
            and fault.boottime < at.get(fault.instance, min(at.values(), default=0.0) if not fault.instance else 0.0)
        ]
        for key in ended:
            del self._faults[key]
            self._recent.pop(key[0], None)
        return bool(ended)

    def _renewable(self, name: str) -> bool:
        return self._signatures[name].family == "dhcp" and bool(self._signatures[name].cleared_by)

    def faults(self, now: Timestamp) -> tuple[Fault, ...]:
        """Give what is going on, and forget what is older than its window."""
        self._faults = {
            key: fault for key, fault in self._faults.items() if now.boottime - fault.boottime < self._signatures[key[0]].window
        }
        return tuple(self._faults.values())

    def recent(self, now: Timestamp) -> Mapping[str, Mapping[str, tuple[float, ...]]]:
        """Give when signatures that escalate were seen, to be saved; what is too old to count is forgotten."""
        for name, instances in self._recent.items():
            within = getattr(self._signatures[name].escalate, "within", 0.0)
            for instance in [instance for instance, times in instances.items() if now.boottime - max(times) > within]:
                del instances[instance]
        return {
            name: {instance: tuple(times) for instance, times in instances.items()} for name, instances in self._recent.items() if instances
        }


def _same(one: str, other: str) -> bool:
    return not one or not other or one == other or OTHER in {one, other}
