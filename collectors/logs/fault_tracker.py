"""Counts events and keeps the faults that are going on. No clock, no I/O: it is told the time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from collectors.logs.state import Fault
from collectors.model import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.logs.clock import Moment
    from collectors.logs.matching.packs import Signature
    from collectors.logs.sources.event import Event
    from collectors.logs.state import State

_THINGS = 64  # things a signature is followed for apart; the others are one
OTHER = "other"
_LEVELS = {"warning": Level.WARNING, "critical": Level.CRITICAL}


class Tally:
    """Running totals for every signature, and the faults by (signature, thing)."""

    def __init__(self, signatures: Iterable[Signature], state: State, now: Moment, *, same_boot: bool) -> None:
        """Go on with what was saved. Ages are kept: by the clock since boot within one boot, by the wall's across boots."""
        self._signatures = {signature.id: signature for signature in signatures}
        self.events = {name: state.events.get(name, 0) for name in self._signatures}
        self.seen = {name: at for name, at in state.seen.items() if name in self._signatures}
        shift = 0.0 if same_boot else now.up - state.up - max(0.0, now.wall - state.wall)
        self._faults = {
            (fault.signature, fault.thing): msgspec.structs.replace(fault, up=min(now.up, fault.up + shift))
            for fault in state.faults
            if fault.signature in self._signatures
        }
        self._recent: dict[str, dict[str, deque[float]]] = {
            name: {thing: deque((min(now.up, up + shift) for up in ups), maxlen=escalate.count) for thing, ups in things.items()}
            for name, things in state.recent.items()
            if name in self._signatures and (escalate := self._signatures[name].escalate)
        }
        self._clears: dict[str, list[str]] = {}
        for signature in self._signatures.values():
            for recovery in signature.cleared_by:
                self._clears.setdefault(recovery, []).append(signature.id)

    def add(self, event: Event, now: Moment) -> None:
        """Count an event, and draw its consequences: a fault begins, goes on or ends."""
        signature = event.signature
        name = signature.id
        self.events[name] += event.times
        self.seen[name] = max(self.seen.get(name, 0.0), min(event.at, now.wall))
        up = now.up - now.age(event.at)
        for cleared in self._clears.get(name, ()):
            self._clear(cleared, event.thing, up)
        if (level := _LEVELS.get(signature.severity)) is not None:
            self._touch(event, level, up)
        if signature.escalate is not None and self._too_often(event, up):
            self._touch(event, _LEVELS[signature.escalate.severity], up)

    def _touch(self, event: Event, level: Level, up: float) -> None:
        name, at = event.signature.id, event.at
        key = (name, self._thing(event, [thing for signature, thing in self._faults if signature == name]))
        old = self._faults.get(key)
        if old is None or up - old.up >= event.signature.window:
            old = Fault(signature=name, thing=key[1], level=level, count=0, first=at, last=at, up=up, line=event.line)
        newest = (
            {"last": at, "up": up, "line": event.line, "level": level} if up >= old.up else {"first": min(at, old.first)}
        )  # sources are not read in the order of time
        self._faults[key] = msgspec.structs.replace(old, count=old.count + event.times, **newest)

    def _thing(self, event: Event, known: list[str]) -> str:
        return event.thing if event.thing in known or len(known) < _THINGS else OTHER

    def _too_often(self, event: Event, up: float) -> bool:
        """Say whether this is one of so many within so long."""
        escalate = event.signature.escalate
        assert escalate is not None  # noqa: S101 — for mypy
        things = self._recent.setdefault(event.signature.id, {})
        ups = things.setdefault(self._thing(event, list(things)), deque(maxlen=escalate.count))
        ups.extend([up] * min(event.times, escalate.count))
        return len(ups) == escalate.count and max(ups) - min(ups) <= escalate.within

    def _clear(self, name: str, thing: str, up: float) -> None:
        """End the faults of a signature, of the thing that recovered; where a line names none, of all."""
        for key, fault in list(self._faults.items()):
            if key[0] == name and _same(key[1], thing) and fault.up <= up:
                del self._faults[key]
        escalate = self._signatures[name].escalate
        if escalate is not None and escalate.unless_cleared:
            things = self._recent.get(name, {})
            for other in [other for other in things if _same(other, thing)]:
                del things[other]

    @property
    def dhcp_fails(self) -> bool:
        """Say whether a DHCP fault is going on that a recovery would end."""
        return any(self._renewable(name) for name, _ in self._faults)

    def renewed(self, at: Mapping[str, float]) -> bool:
        """End DHCP faults of interfaces whose leases were set since; a fault that names none, when all leases were. True: some ended."""
        ended = [
            key
            for key, fault in self._faults.items()
            if self._renewable(key[0]) and fault.up < at.get(fault.thing, min(at.values(), default=0.0) if not fault.thing else 0.0)
        ]
        for key in ended:
            del self._faults[key]
            self._recent.pop(key[0], None)
        return bool(ended)

    def _renewable(self, name: str) -> bool:
        return self._signatures[name].family == "dhcp" and bool(self._signatures[name].cleared_by)

    def faults(self, now: Moment) -> tuple[Fault, ...]:
        """Give what is going on, and forget what is older than its window."""
        self._faults = {key: fault for key, fault in self._faults.items() if now.up - fault.up < self._signatures[key[0]].window}
        return tuple(self._faults.values())

    def recent(self, now: Moment) -> Mapping[str, Mapping[str, tuple[float, ...]]]:
        """Give when signatures that escalate were seen, to be saved; what is too old to count is forgotten."""
        for name, things in self._recent.items():
            within = getattr(self._signatures[name].escalate, "within", 0.0)
            for thing in [thing for thing, ups in things.items() if now.up - max(ups) > within]:
                del things[thing]
        return {name: {thing: tuple(ups) for thing, ups in things.items()} for name, things in self._recent.items() if things}


def _same(one: str, other: str) -> bool:
    return not one or not other or one == other or OTHER in {one, other}
