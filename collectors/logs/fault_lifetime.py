"""Lifetime of faults: begin, continue, escalate, clear, expire. No clock, no I/O: the caller passes the time.

The daemon passes seconds since boot, `vitald scan` Unix times. All times of one `FaultLifetimes` are of the same clock.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import Meta

from collectors.logs.matching.instance import disk_of
from collectors.model import Level
from collectors.state import Count, Text, UnixTime  # noqa: TC001 — msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.logs.matching.packs import Signature
    from collectors.logs.sources.event import LogEvent

MAX_INSTANCES = 64  # per signature that are tracked separately; all further ones are tracked as OTHER
OTHER = "other"
JOIN_SECONDS = 60.0  # between lines about one event (`part_of`): a dump of tasks on a serial console takes that long
ClockTime = Annotated[float, Meta(ge=-4e9, le=4e9)]  # seconds of the lifetimes' own clock; negative before the boot
_LEVELS = {"warning": Level.WARNING, "critical": Level.CRITICAL}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """An open fault: neither cleared nor expired. `first` and `last` are Unix times, `updated` is the last on the lifetimes' own clock.

    `unit` is the sender of the newest line, `alias` another name of the instance (`LogEvent`).
    """

    signature: Text
    instance: Text
    level: Annotated[int, Meta(ge=1, le=2)]
    count: Count
    first: UnixTime
    last: UnixTime
    updated: ClockTime
    line: Text
    unit: Text = ""
    alias: Text = ""


class Transition(NamedTuple):
    """Effect of one event. `fault` was begun (`is_new`) or continued by it, `cleared` were ended by it.

    `replaced` reported the same event less precisely (`Signature.part_of`).
    """

    fault: Fault | None
    is_new: bool
    cleared: tuple[Fault, ...]
    replaced: tuple[Fault, ...] = ()


class FaultRules:
    """Signatures by id, the signatures that each recovery clears, and those whose events are part of each one's."""

    def __init__(self, signatures: Iterable[Signature]) -> None:
        self.by_id = {signature.id: signature for signature in signatures}
        self.clears: dict[str, list[Signature]] = {}
        self.parts: dict[str, list[Signature]] = {}
        for signature in self.by_id.values():
            for recovery in signature.cleared_by:
                self.clears.setdefault(recovery, []).append(signature)
            for whole in signature.part_of:
                self.parts.setdefault(whole, []).append(signature)


class FaultLifetimes:
    """Open faults by signature and instance (interface, device), and the recent events of signatures that escalate."""

    def __init__(
        self, rules: FaultRules, faults: Iterable[Fault] = (), recent: Mapping[str, Mapping[str, Iterable[float]]] | None = None
    ) -> None:
        """Start from saved faults and recent events; those of unknown signatures are dropped."""
        self._rules = rules
        self._faults: dict[str, dict[str, Fault]] = {}
        self._recent: dict[str, dict[str, deque[float]]] = {}
        self._expiries: list[tuple[float, str, str]] = []  # heap of (earliest expiry, signature, instance)
        self._scheduled: dict[tuple[str, str], float] = {}  # the valid one of these by (signature, instance)
        for fault in faults:
            if fault.signature in rules.by_id:
                self._faults.setdefault(fault.signature, {})[fault.instance] = fault
                self._schedule(fault)
        for name, instances in (recent or {}).items():
            if name in rules.by_id and (escalate := rules.by_id[name].escalate):
                self._recent[name] = {instance: deque(times, maxlen=escalate.count) for instance, times in instances.items()}

    def apply(self, event: LogEvent, at: float) -> Transition:
        """Apply an event that occurred at `at`. Events may come out of order."""
        signature = event.signature
        cleared = tuple(fault for other in self._rules.clears.get(signature.id, ()) for fault in self._clear(other, event, at))
        level = _LEVELS.get(signature.severity, Level.HEALTHY)
        if signature.escalate is not None and self._escalates(event, at):
            level = max(level, _LEVELS[signature.escalate.severity])
        if level is Level.HEALTHY or self._is_part(event, at):
            return Transition(None, False, cleared)  # noqa: FBT003 — a NamedTuple's field
        return Transition(*self._update(event, level, at), cleared, self._replace(event, at))

    def _is_part(self, event: LogEvent, at: float) -> bool:
        """Return whether a fault is open that reports the event better."""
        return any(
            _is_same(fault, event) and abs(at - fault.updated) <= JOIN_SECONDS
            for whole in event.signature.part_of
            for fault in self._faults.get(whole, {}).values()
        )

    def _replace(self, event: LogEvent, at: float) -> tuple[Fault, ...]:
        """End and return the faults that report the event less precisely."""
        replaced = tuple(
            fault
            for part in self._rules.parts.get(event.signature.id, ())
            for fault in self._faults.get(part.id, {}).values()
            if _is_same(fault, event) and abs(at - fault.updated) <= JOIN_SECONDS
        )
        for fault in replaced:
            del self._faults[fault.signature][fault.instance]
        return replaced

    def _update(self, event: LogEvent, level: Level, at: float) -> tuple[Fault, bool]:
        signature = event.signature
        faults = self._faults.setdefault(signature.id, {})
        instance = _bounded(event.instance, faults)
        old = faults.get(instance)
        if is_new := old is None or at - old.updated >= signature.window:
            old = Fault(
                signature=signature.id, instance=instance, level=level, count=0, first=event.at, last=event.at, updated=at, line=event.line
            )
        newest = (
            {"last": event.at, "updated": at, "line": event.line, "unit": event.unit, "alias": event.alias or old.alias, "level": level}
            if at >= old.updated
            else {"first": min(event.at, old.first)}
        )
        faults[instance] = fault = msgspec.structs.replace(old, count=old.count + event.times, **newest)
        if is_new:
            self._schedule(fault)
        return fault, is_new

    def _escalates(self, event: LogEvent, at: float) -> bool:
        """Return whether the instance, or the disk that it is part of, has had `count` events within the escalation's window."""
        escalate = event.signature.escalate
        assert escalate is not None  # noqa: S101 — for mypy
        instances = self._recent.setdefault(event.signature.id, {})
        if len(instances) >= MAX_INSTANCES:
            _drop_old(instances, event.signature, at)
        times = instances.setdefault(_bounded(_counted_as(event), instances), deque(maxlen=escalate.count))
        times.extend([at] * min(event.times, escalate.count))
        return len(times) == escalate.count and max(times) - min(times) <= escalate.within

    def _clear(self, signature: Signature, event: LogEvent, at: float) -> list[Fault]:
        """End the faults of a signature on the instance that recovered; on all instances where the recovery names none."""
        cleared = [fault for fault in self._faults.get(signature.id, {}).values() if _is_same(fault, event) and fault.updated <= at]
        for fault in cleared:
            del self._faults[signature.id][fault.instance]
        if signature.escalate is not None and signature.escalate.unless_cleared:
            instances = self._recent.get(signature.id, {})
            recovered = _counted_as(event)
            for other in [other for other in instances if not other or not recovered or other in {recovered, OTHER} or recovered == OTHER]:
                del instances[other]
        return cleared

    def end(self, fault: Fault) -> None:
        """End one fault for a reason that is not in the logs; its instance escalates again only after new events."""
        del self._faults[fault.signature][fault.instance]
        self._recent.get(fault.signature, {}).pop(_counted_as(fault), None)

    def _schedule(self, fault: Fault) -> None:
        key, expiry = (fault.signature, fault.instance), fault.updated + self._rules.by_id[fault.signature].window
        if expiry < self._scheduled.get(key, inf):
            self._scheduled[key] = expiry
            heappush(self._expiries, (expiry, *key))

    def expire(self, at: float) -> list[Fault]:
        """End what is older than its signature's window, and return it."""
        expired = []
        while self._expiries and self._expiries[0][0] <= at:
            expiry, name, instance = heappop(self._expiries)
            if self._scheduled.get((name, instance)) != expiry:
                continue
            del self._scheduled[name, instance]
            if (fault := self._faults[name].get(instance)) is None:
                continue
            if fault.updated + self._rules.by_id[name].window <= at:
                expired.append(self._faults[name].pop(instance))
            else:
                self._schedule(fault)
        return expired

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Return all open faults, in the order of their signatures' first events."""
        return tuple(fault for faults in self._faults.values() for fault in faults.values())

    def recent(self, at: float) -> Mapping[str, Mapping[str, tuple[float, ...]]]:
        """Return the times of recent events of signatures that escalate, by signature and instance; what is too old to count is dropped."""
        for name, instances in self._recent.items():
            _drop_old(instances, self._rules.by_id[name], at)
        return {name: {one: tuple(times) for one, times in instances.items()} for name, instances in self._recent.items() if instances}


def _bounded(instance: str, tracked: Mapping[str, object]) -> str:
    return instance if instance in tracked or len(tracked) < MAX_INSTANCES else OTHER


def _is_same(fault: Fault, event: LogEvent) -> bool:
    """Return whether both are about one instance, or one of them names none."""
    names = {fault.instance, fault.alias} & {event.instance, event.alias}
    return not fault.instance or not event.instance or OTHER in {fault.instance, event.instance} or bool(names - {""})


def _counted_as(subject: Fault | LogEvent) -> str:
    """Return what an event's repetitions are counted by: the bus address of an interface where it is known, the disk of a partition."""
    return subject.alias or disk_of(subject.instance)


def _drop_old(instances: dict[str, deque[float]], signature: Signature, at: float) -> None:
    within = signature.escalate.within if signature.escalate else 0.0
    for instance in [instance for instance, times in instances.items() if at - max(times) > within]:
        del instances[instance]
