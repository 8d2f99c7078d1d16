"""What happened on hosts, from their old logs: how often, from when to when, and which outages the faults make up. No clock, no I/O."""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.logs.matching.packs import Signature

MAX_KINDS = 10_000  # rows; a log that names more hosts or devices than that has its last ones folded into "…"
FOLDED = "…"
FAULTS = {"critical": 2, "warning": 1}


class Key(NamedTuple):
    """What is counted together: a signature, on a host, about an interface or device (each empty where no line names it)."""

    signature: str
    host: str
    instance: str


@dataclass(slots=True)
class Row:
    """How often something happened. `first` and `last` are Unix times, None where no line says its time."""

    key: Key
    severity: str
    times: int = 0
    first: float | None = None
    last: float | None = None


@dataclass(slots=True)
class Outage:
    """A stretch of faults of one family on one host. `ended` names the recovery; empty: nothing more was heard for the faults' window.

    `gap` is the time since the outage before, in seconds; None for the first.
    """

    host: str
    family: str
    severity: str
    start: float
    end: float
    faults: int = 0
    ended: str = ""
    gap: float | None = None
    signatures: list[str] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)


class History:
    """Events as they are found, in any order; rows and outages in the end."""

    def __init__(self, signatures: Mapping[str, Signature]) -> None:
        self._signatures = signatures
        self._keys: dict[Key, int] = {}
        self._which, self._times, self._at = array("I"), array("Q"), array("d")  # 20 bytes an event: years of them fit
        self.untimed = 0

    def add(self, key: Key, at: float | None, times: int = 1) -> None:
        """Count an event in; `at` is Unix time, None where its line says none."""
        if key not in self._keys and len(self._keys) >= MAX_KINDS:
            key = Key(key.signature, FOLDED, FOLDED)
        self._which.append(self._keys.setdefault(key, len(self._keys)))
        self._times.append(times)
        self._at.append(float("inf") if at is None else at)
        self.untimed += times if at is None else 0

    def events(self) -> Iterator[tuple[float, Key, int]]:
        """Give (Unix time, what, how often), the oldest first; those without a time are left out."""
        keys, at = list(self._keys), self._at
        for index in sorted(range(len(at)), key=at.__getitem__):
            if at[index] == float("inf"):
                return
            yield at[index], keys[self._which[index]], self._times[index]

    def rows(self) -> list[Row]:
        """Sum up: the worst first, then what came oftenest."""
        rows = [Row(key, self._signatures[key.signature].severity) for key in self._keys]
        for which, times, at in zip(self._which, self._times, self._at, strict=True):
            row = rows[which]
            row.times += times
            if at != float("inf"):
                row.first, row.last = min(at, row.first if row.first is not None else at), max(at, row.last if row.last is not None else at)
        return sorted(rows, key=lambda row: (-_rank(row.severity), -row.times, row.key))

    def outages(self) -> list[Outage]:
        """Find the outages of every host and family, in the order they began."""
        tracks: dict[tuple[str, str], Track] = {}
        for at, key, times in self.events():
            signature = self._signatures[key.signature]
            track = tracks.setdefault((key.host, signature.family), Track(key.host, signature.family, self._signatures))
            track.take(signature, key.instance, at, times)
        return sorted((outage for track in tracks.values() for outage in track.outages), key=lambda outage: outage.start)


class Track:
    """One family on one host, followed through time."""

    def __init__(self, host: str, family: str, signatures: Mapping[str, Signature]) -> None:
        self.host, self.family, self._signatures = host, family, signatures
        self.outages: list[Outage] = []
        self._open: dict[tuple[str, str], float] = {}  # faults that nothing has ended yet, by (signature, instance), and when they are over
        self._recent: dict[str, list[float]] = defaultdict(list)  # for what is a fault only when it comes often

    def take(self, signature: Signature, instance: str, at: float, times: int) -> None:
        """Take the next event."""
        if self._open and at > max(self._open.values()):
            self._open.clear()
        if signature.severity == "recovery":
            self._recover(signature, instance, at)
        elif severity := self._severity(signature, at, times):
            if not self._open:
                last = self.outages[-1].end if self.outages else None
                self.outages.append(Outage(self.host, self.family, severity, at, at, gap=None if last is None else at - last))
            outage = self.outages[-1]
            self._open[signature.id, instance] = at + signature.window
            outage.end, outage.faults, outage.severity = at, outage.faults + times, max(outage.severity, severity, key=_rank)
            _remember(outage.signatures, signature.id)
            _remember(outage.instances, instance)

    def _severity(self, signature: Signature, at: float, times: int) -> str:
        """Say how bad an event is; empty: no fault."""
        rule = signature.escalate
        if rule is not None:
            recent = [*(one for one in self._recent[signature.id] if one > at - rule.within), *[at] * min(times, rule.count)][-rule.count :]
            self._recent[signature.id] = recent
            if len(recent) == rule.count:
                return rule.severity
        return signature.severity if signature.severity in FAULTS else ""

    def _recover(self, signature: Signature, instance: str, at: float) -> None:
        for fault, about in list(self._open):
            if signature.id in self._signatures[fault].cleared_by and (not about or not instance or about == instance):
                del self._open[fault, about]
                if not self._open:
                    self.outages[-1].end, self.outages[-1].ended = at, signature.id
        for fault in list(self._recent):
            rule = self._signatures[fault].escalate
            if rule is not None and rule.unless_cleared and signature.id in self._signatures[fault].cleared_by:
                del self._recent[fault]


def gaps(outages: Sequence[Outage]) -> dict[tuple[str, str], list[float]]:
    """Collect the gaps between outages by (host, family), ascending, in seconds."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for outage in outages:
        if outage.gap is not None:
            found[outage.host, outage.family].append(outage.gap)
    return {which: sorted(values) for which, values in found.items()}


def _rank(severity: str) -> int:
    return FAULTS.get(severity, 0 if severity == "info" else -1)


def _remember(names: list[str], name: str) -> None:
    if name and name not in names and len(names) < 100:  # noqa: PLR2004 — a list for people
        names.append(name)
