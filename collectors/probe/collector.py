"""TCP probes: is each target reachable, how far away is it, and does it take more than one SYN."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from collectors.collector import Collector
from collectors.model import Metric, Mode, Unavailable
from collectors.probe import metrics
from collectors.probe.connect import conntrack
from collectors.probe.connect.half_open import HalfOpen
from collectors.probe.connect.outcome import Outcome, Reason
from collectors.probe.connect.sweep import Sweeper
from collectors.probe.diagnosis.watch import Seen, Watch
from collectors.probe.dns.multi_address import after, speak
from collectors.probe.dns.resolver import Resolver
from collectors.probe.judge import judge
from collectors.probe.metrics import Series
from collectors.probe.panels import targets
from collectors.probe.reading import Reading
from collectors.probe.settings import ProbeSettings
from collectors.probe.target_stats import Record
from collectors.probe.targets import target_files
from collectors.probe.targets.sources import TargetList
from collectors.probe.targets.target import Address, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from collectors.model import CollectorContext, Verdict
    from collectors.panel import Panel
    from collectors.probe.connect.sweep import Planned
    from collectors.settings import Settings

SPREAD = 0.8  # of the time that is left beside the timeout: a sweep ends before the next begins, with some to spare
LONGEST_WINDOW = 10.0  # seconds: whoever probes every hour still wants an answer from `vitald check`


class Probe(Collector[Reading]):
    """Connects to every target once a sweep."""

    name = "probe"
    Settings: ClassVar[type[Settings]] = ProbeSettings

    def __init__(self, settings: ProbeSettings, host: CollectorContext) -> None:
        self._settings = settings
        self._host = host
        self._list = TargetList(settings, host)
        self._label_names = tuple(settings.labels())
        self._window = min(LONGEST_WINDOW, SPREAD * (settings.interval - settings.timeout))
        self._sweeper = Sweeper()
        self._half_open = HalfOpen(settings.syn_interval, settings.timeout)
        self._watch = Watch(host, settings.timeout)
        self._resolver = Resolver(settings.timeout)
        self._targets: Mapping[Target, tuple[str, ...]] | None = None
        self._shy: frozenset[str] = frozenset()
        self._records: dict[str, Record] = {}
        self._addresses: dict[str, Mapping[str, Record]] = {}

    def read(self) -> Reading:
        """Probe every target once, spread over the interval."""
        if self._list.refresh() or self._targets is None:
            self._adopt(self._list.targets())
        files, targets = self._list.valid(), self._targets or {}
        if not targets and not files:
            raise Unavailable("unconfigured", "there is nothing to probe: [probe] targets, target_files and mesh_files name no target")
        owners, plan = self._plan()
        self._add_half_open(owners, plan)
        outcomes = self._sweeper.run(plan, self._settings.timeout, self._window, lambda index: self._ask(owners[index]))
        seen = Seen(
            self._shy, [owner.text for owner in owners], [self._place(at, owner) for at, owner in zip(plan, owners, strict=True)], outcomes
        )
        self._add(owners, plan, self._watch.blame(seen, self._blame(outcomes)))
        diagnoses = self._watch.after(seen, self._records)
        labels = {target.text: labels for target, labels in targets.items()} if self._label_names else {}
        lookups = {target.text: self._resolver.lookups(target.host) for target in targets if target.address is None}
        return Reading(self._records, files, labels, dict(self._addresses), lookups, self._list.choice(), diagnoses)

    @staticmethod
    def judge(readings: Sequence[Reading], settings: ProbeSettings) -> Iterator[Verdict]:
        """Give one `tcp_probe` verdict for each target."""
        critical, addresses = settings.failures_until_critical, readings[-1].addresses
        diagnoses = readings[-1].diagnoses
        for target, record in readings[-1].records.items():
            verdict = judge(target, record, critical, diagnoses.get(target))
            yield speak(verdict, addresses[target]) if target in addresses else verdict

    @staticmethod
    def measure(reading: Reading, settings: ProbeSettings) -> Iterator[Metric]:
        """Give every target's series, every file's, and the mesh's."""
        names = tuple(settings.labels())
        for target, record in reading.records.items():
            yield from Series(target, names, reading.labels.get(target, ())).measure(record)
        for target, lookups in reading.lookups.items():
            yield from metrics.look_ups(target, lookups, reading.addresses.get(target, {}))
        for path, valid in reading.files.items():
            yield Metric(metrics.FILE_VALID, float(valid), (path,))
        if reading.mesh:
            yield from metrics.mesh(reading.mesh)

    @staticmethod
    def show(readings: Sequence[Reading], _settings: ProbeSettings) -> Iterator[Panel]:
        """Show the targets in a table."""
        yield targets(readings[-1].records)

    @classmethod
    def problems(cls, settings: ProbeSettings) -> Iterable[str]:
        """Name the target files that are not in order."""
        return target_files.problems([*settings.target_files, *settings.mesh_files])

    def close(self) -> None:
        """End the sweep that may be out; a hanging look-up is not waited for."""
        self._sweeper.stop()
        self._resolver.close()
        self._half_open.close()
        self._watch.close()

    def _adopt(self, listed: Mapping[Target, tuple[str, ...]]) -> None:
        """Take a new list: who stays keeps the record, who left is forgotten."""
        self._targets, self._shy = listed, self._list.half_open()
        self._records = {target.text: self._records.get(target.text, Record()) for target in listed}
        self._addresses = {target: records for target, records in self._addresses.items() if target in self._records}
        self._resolver.want(target.host for target in listed if target.address is None)

    def _plan(self) -> tuple[list[Target], list[Planned]]:
        """Say what to probe, and for which target: each by its address, a name by all it has."""
        owners: list[Target] = []
        plan: list[Planned] = []
        for target in self._targets or ():
            if target.text in self._shy:
                continue
            planned = target.address or self._resolver.ask_all(target.host, target.port)
            places = planned if isinstance(planned, list) else [planned]
            plan += places
            owners += [target] * len(places)
        return owners, plan

    def _add_half_open(self, owners: list[Target], plan: list[Planned]) -> None:
        """Add what has become of targets that are probed half-open, beside the sweep and less often; begins the next round if it is due."""
        targets = {target.text: target for target in self._targets or () if target.text in self._shy} if self._shy else {}
        places = {text: self._place(target.address, target) for text, target in targets.items()}
        ended = self._half_open.run(places, LONGEST_WINDOW if self._host.mode is Mode.CHECK else 0.0)
        owners += [targets[text] for text in ended]
        plan += ended.values()

    def _place(self, planned: Planned, target: Target) -> Planned:
        return planned if isinstance(planned, Address) else target.address or self._ask(target)

    def _ask(self, target: Target) -> Planned:
        return self._resolver.ask(target.host, target.port)

    def _blame(self, outcomes: list[Outcome | None]) -> list[Outcome | None]:
        """Put down to this host what its full connection table did: SYNs that never left, and silence that nothing else explains."""
        suspects = [index for index, outcome in enumerate(outcomes) if outcome and _may_be_conntrack(outcome)]
        if suspects and conntrack.full(self._host.proc):
            for index in suspects:
                outcomes[index] = outcomes[index]._replace(reason=Reason.LOCAL_RESOURCES, own_fault=True)  # type: ignore[union-attr]
        return outcomes

    def _add(self, owners: Sequence[Target], plan: Sequence[Planned], outcomes: Sequence[Outcome | None]) -> None:
        """Write the outcomes into the records; what a stopped sweep did not get to stays as it was."""
        at = time.time()
        records = dict(self._records)
        named: dict[Target, list[tuple[str, Outcome]]] = {}
        for target, planned, outcome in zip(owners, plan, outcomes, strict=True):
            if outcome is None:
                continue
            if target.address:
                records[target.text] = records[target.text].after(outcome, at)
            else:
                place = planned if isinstance(planned, Address) else self._ask(target)  # a first look-up ended while the sweep was out
                named.setdefault(target, []).append((str(place.sockaddr[0]) if isinstance(place, Address) else "", outcome))
        for target, ended in named.items():
            text, seconds = target.text, self._resolver.seconds(target.host)
            records[text], self._addresses[text] = after(records[text], self._addresses.get(text, {}), ended, at, seconds)
        self._records = records


def _may_be_conntrack(outcome: Outcome) -> bool:
    """Tell what a full table may have done: our own side dropped the SYN, or no SYN was sent again that could have told us."""
    blocked = outcome.reason is Reason.PERMISSION and outcome.retransmits > 0
    return blocked or (outcome.reason is Reason.TIMEOUT and outcome.retransmits == 0)
