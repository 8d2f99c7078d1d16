"""Events of old logs, in any order; rows (totals by signature, host and instance) and outages out. No clock, no I/O."""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from collectors.logs.fault_lifetime import FaultLifetimes, FaultRules
from collectors.logs.sources.event import LogEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.logs.fault_lifetime import Fault
    from collectors.logs.matching.packs import Signature

MAX_ROWS = 10_000  # events of further hosts and instances are counted under FOLDED
FOLDED = "…"
_RANKS = {"recovery": -1, "info": 0, "warning": 1, "critical": 2}
_MAX_NAMES = 100  # signatures and instances listed per outage


class EventKey(NamedTuple):
    """What events are counted by; host and instance (interface, device) are empty where the line has none."""

    signature: str
    host: str
    instance: str
    alias: str = ""


@dataclass(slots=True)
class EventRow:
    """Number of events with one key. `first` and `last` are Unix times, None where no line has a time."""

    key: EventKey
    severity: str
    times: int = 0
    first: float | None = None
    last: float | None = None


@dataclass(slots=True)
class Outage:
    """A period in which one host had open faults of one family, in Unix times.

    `ended_by` is the recovery that cleared the last of them; empty: they expired, and `end` is the last fault.
    `gap` is the time since the end of the previous outage in seconds, None for the first.
    """

    host: str
    family: str
    severity: str
    start: float
    end: float
    faults: int = 0
    ended_by: str = ""
    gap: float | None = None
    signatures: list[str] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)


class EventHistory:
    """All events of a scan, at 20 bytes each."""

    def __init__(self, signatures: Mapping[str, Signature]) -> None:
        self._signatures = signatures
        self._keys: dict[EventKey, int] = {}
        self._key_indexes, self._times, self._at = array("I"), array("Q"), array("d")
        self.untimed = 0

    def add(self, key: EventKey, at: float | None, times: int = 1) -> None:
        """Add an event; `at` is Unix time, None where its line has no time."""
        if key not in self._keys and len(self._keys) >= MAX_ROWS:
            key = EventKey(key.signature, FOLDED, FOLDED)
        self._key_indexes.append(self._keys.setdefault(key, len(self._keys)))
        self._times.append(times)
        self._at.append(inf if at is None else at)
        self.untimed += times if at is None else 0

    def events(self) -> Iterator[tuple[float, EventKey, int]]:
        """Yield (Unix time, key, times), oldest first, without the events that have no time."""
        keys, at = list(self._keys), self._at
        for index in sorted(range(len(at)), key=at.__getitem__):
            if at[index] == inf:
                return
            yield at[index], keys[self._key_indexes[index]], self._times[index]

    def rows(self) -> list[EventRow]:
        """Return the totals, by severity and then by number, highest first."""
        rows = [EventRow(key, self._signatures[key.signature].severity) for key in self._keys]
        for index, times, at in zip(self._key_indexes, self._times, self._at, strict=True):
            row = rows[index]
            row.times += times
            if at != inf:
                row.first, row.last = min(at, row.first if row.first is not None else at), max(at, row.last if row.last is not None else at)
        return sorted(rows, key=lambda row: (-_RANKS[row.severity], -row.times, row.key))

    def outages(self) -> list[Outage]:
        """Return the outages of all hosts and families, by their start."""
        rules = FaultRules(self._signatures.values())
        hosts: dict[str, _HostOutages] = {}
        for at, key, times in self.events():
            if key.host not in hosts:
                hosts[key.host] = _HostOutages(key.host, rules)
            hosts[key.host].add(LogEvent(self._signatures[key.signature], at, "", key.instance, times, alias=key.alias))
        return sorted((outage for host in hosts.values() for outage in host.outages), key=lambda outage: outage.start)


class _HostOutages:
    """Joins the faults of one host into outages; events come in the order of time."""

    def __init__(self, host: str, rules: FaultRules) -> None:
        self.outages: list[Outage] = []
        self._host, self._rules = host, rules
        self._lifetimes = FaultLifetimes(rules)
        self._open: dict[str, int] = defaultdict(int)  # faults by family
        self._newest: dict[str, Outage] = {}  # by family

    def add(self, event: LogEvent) -> None:
        for fault in self._lifetimes.expire(event.at):
            self._open[self._family(fault)] -= 1
        transition = self._lifetimes.apply(event, event.at)
        if transition.fault is not None:
            self._add_fault(event, transition.fault, is_new=transition.is_new)
        for fault in transition.replaced:
            self._open[self._family(fault)] -= 1
            self._newest[self._family(fault)].faults -= fault.count
        for fault in transition.cleared:
            family = self._family(fault)
            self._open[family] -= 1
            if not self._open[family]:
                self._newest[family].end, self._newest[family].ended_by = event.at, event.signature.id

    def _add_fault(self, event: LogEvent, fault: Fault, *, is_new: bool) -> None:
        family, severity = event.signature.family, "critical" if fault.level == 2 else "warning"  # noqa: PLR2004 — Level.CRITICAL
        if not self._open[family]:
            previous = self._newest.get(family)
            self._newest[family] = Outage(
                self._host, family, severity, event.at, event.at, gap=None if previous is None else event.at - previous.end
            )
            self.outages.append(self._newest[family])
        self._open[family] += is_new
        outage = self._newest[family]
        outage.end, outage.severity = event.at, max(outage.severity, severity, key=_RANKS.__getitem__)
        outage.faults += event.times
        _add_name(outage.signatures, fault.signature)
        _add_name(outage.instances, event.instance)

    def _family(self, fault: Fault) -> str:
        return self._rules.by_id[fault.signature].family


def gaps(outages: Sequence[Outage]) -> dict[tuple[str, str], list[float]]:
    """Return the gaps between outages in seconds, ascending, by (host, family)."""
    by_subject: dict[tuple[str, str], list[float]] = defaultdict(list)
    for outage in outages:
        if outage.gap is not None:
            by_subject[outage.host, outage.family].append(outage.gap)
    return {subject: sorted(values) for subject, values in by_subject.items()}


def _add_name(names: list[str], name: str) -> None:
    if name and name not in names and len(names) < _MAX_NAMES:
        names.append(name)
