"""TCP probe collector: probes every target once a sweep."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from collectors.collector import Collector
from collectors.model import Mode, Unavailable
from collectors.probe.connect.half_open import HalfOpenProber
from collectors.probe.connect.local_errors import attribute, read_host_facts
from collectors.probe.connect.sweep import Sweeper
from collectors.probe.diagnosis.runner import DiagnosisRunner
from collectors.probe.dns.multi_address import add_sweep
from collectors.probe.dns.resolver import Resolver
from collectors.probe.judge import bad_states, judge_targets
from collectors.probe.metrics import measure_reading
from collectors.probe.panels import targets_panel
from collectors.probe.reading import ProbeReading
from collectors.probe.settings import ProbeSettings
from collectors.probe.target_stats import TargetStats
from collectors.probe.targets import target_files
from collectors.probe.targets.sources import TargetList
from collectors.probe.targets.target import SocketAddress, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from collectors.model import CollectorContext, Metric, Verdict
    from collectors.panel import Panel
    from collectors.probe.connect.result import Destination, ProbeResult
    from collectors.settings import Settings

SPREAD = 0.8  # of the interval without the timeout: a sweep ends before the next begins, with some to spare
MAX_WINDOW = 10.0  # seconds: with an interval of an hour, `vitald check` is still answered
DIAGNOSIS_SECONDS = 15.0  # that `vitald check` waits for a diagnosis


class Probe(Collector[ProbeReading]):
    """Connects to every target once a sweep."""

    name = "probe"
    checks = ("tcp_probe",)
    needs_history = {"tcp_probe": "failures in a row, loss"}  # noqa: RUF012 — never modified
    Settings: ClassVar[type[Settings]] = ProbeSettings

    def __init__(self, settings: ProbeSettings, context: CollectorContext) -> None:
        self._settings = settings
        self._context = context
        self._list = TargetList(settings, context)
        self._window = min(MAX_WINDOW, SPREAD * (settings.interval - settings.timeout))
        self._sweeper = Sweeper()
        self._half_open = HalfOpenProber(settings.syn_interval, settings.timeout)
        self._diagnoses = DiagnosisRunner(context.sys, settings.timeout)
        self._resolver = Resolver(settings.timeout)
        self._targets: Mapping[Target, tuple[str, ...]] | None = None
        self._named: list[Target] = []  # targets given by name
        self._half_open_targets: frozenset[str] = frozenset()
        self._stats: dict[str, TargetStats] = {}
        self._by_address: dict[str, Mapping[str, TargetStats]] = {}
        self._addresses: dict[str, SocketAddress] = {}

    def read(self) -> ProbeReading:
        """Probe every target once, spread over the interval. Unavailable on a recorded host, whose network this host does not have."""
        if self._context.is_recorded:
            raise Unavailable("missing", "a recorded host cannot probe")
        if self._list.refresh() or self._targets is None:
            self._set_targets(self._list.targets())
        files, targets = self._list.valid(), self._targets or {}
        if not targets and self._list.hangs is not None:
            raise Unavailable("failing", f"{self._list.hangs.filename}: {self._list.hangs}")
        if not targets and not files:
            raise Unavailable("unconfigured", "there is nothing to probe: [probe] targets, target_files and mesh_files list no target")
        probed, destinations = self._plan()
        self._add_half_open(probed, destinations)
        raw = self._sweeper.run(destinations, self._settings.timeout, self._window, lambda index: self._resolve(probed[index]))
        diagnoses = self._diagnoses.diagnoses()
        found = [to if isinstance(to, SocketAddress) else self._resolve(target) for target, to in zip(probed, destinations, strict=True)]
        facts = read_host_facts(self._context.proc, found, raw)
        local_reasons = {target: diagnosis.local_reason for target, diagnosis in diagnoses.items() if diagnosis.local_reason is not None}
        self._add_results(probed, found, attribute(probed, found, raw, facts, local_reasons))
        labels = {target.text: labels for target, labels in targets.items()} if self._settings.labels() else {}
        lookups = {target.text: self._resolver.lookups(target.host) for target in self._named}
        return ProbeReading(
            self._stats, files, labels, dict(self._addresses), dict(self._by_address), lookups, self._list.mesh(), diagnoses
        )  # fmt: skip

    @staticmethod
    def judge(readings: Sequence[ProbeReading], settings: ProbeSettings) -> Iterator[Verdict]:
        """Return one `tcp_probe` verdict for each target."""
        return judge_targets(readings[-1], settings.failures_until_critical)

    @staticmethod
    def measure(reading: ProbeReading, settings: ProbeSettings) -> Iterator[Metric]:
        """Return the series of every target, name and file, and of the mesh."""
        return measure_reading(reading, tuple(settings.labels()))

    @staticmethod
    def show(readings: Sequence[ProbeReading], _settings: ProbeSettings) -> Iterator[Panel]:
        """Return the table of targets."""
        yield targets_panel(readings[-1].stats)

    def follow_up(self, reading: ProbeReading, verdicts: Sequence[Verdict]) -> ProbeReading | None:  # noqa: ARG002 — capped to 1,000 subjects
        """Start the diagnosis of targets that turned bad; in `Mode.CHECK` wait for it."""
        self._diagnoses.update(bad_states(reading.stats), reading.stats, reading.addresses, self._half_open_targets)
        if self._context.mode is not Mode.CHECK:
            return None
        self._diagnoses.wait(DIAGNOSIS_SECONDS)
        return replace(reading, diagnoses=self._diagnoses.diagnoses())

    @classmethod
    def problems(cls, settings: ProbeSettings) -> Iterable[str]:
        """Return a line for each target file that is not valid."""
        return target_files.problems([*settings.target_files, *settings.mesh_files])

    def close(self) -> None:
        """End the sweep in progress; a hanging look-up is not waited for."""
        self._sweeper.stop()
        self._resolver.close()
        self._half_open.close()
        self._diagnoses.close()

    def _set_targets(self, listed: Mapping[Target, tuple[str, ...]]) -> None:
        """Store a new list: targets that stay keep their statistics, the others' are dropped."""
        self._targets, self._half_open_targets = listed, self._list.half_open_targets()
        self._named = [target for target in listed if target.address is None]
        self._stats = {target.text: self._stats.get(target.text, TargetStats()) for target in listed}
        self._by_address = {target: stats for target, stats in self._by_address.items() if target in self._stats}
        known = {target: address for target, address in self._addresses.items() if target in self._stats}
        self._addresses = known | {target.text: target.address for target in listed if target.address}
        self._resolver.set_names(target.host for target in self._named)

    def _plan(self) -> tuple[list[Target], list[Destination]]:
        """Return what to connect to, and the target of each: one destination for an address, several for a name."""
        probed = [target for target in self._targets or () if target.address and target.text not in self._half_open_targets]
        destinations: list[Destination] = [target.address for target in probed]
        for target in self._named:
            if target.text not in self._half_open_targets:
                resolved = self._resolver.resolve_all(target.host, target.port)
                addresses = resolved if isinstance(resolved, list) else [resolved]
                destinations += addresses
                probed += [target] * len(addresses)
        return probed, destinations

    def _add_half_open(self, probed: list[Target], destinations: list[Destination]) -> None:
        """Add the results of half-open targets to the plan; starts their next round if it is due."""
        targets = {target.text: target for target in self._targets or () if target.text in self._half_open_targets}
        to = {text: target.address or self._resolve(target) for text, target in targets.items()}
        ended = self._half_open.run(to, MAX_WINDOW if self._context.mode is Mode.CHECK else 0.0)
        probed += [targets[text] for text in ended]
        destinations += ended.values()

    def _resolve(self, target: Target) -> Destination:
        return target.address or self._resolver.resolve(target.host, target.port)

    def _add_results(self, probed: Sequence[Target], destinations: Sequence[Destination], results: Sequence[ProbeResult | None]) -> None:
        """Add the results to new statistics; those of targets that a stopped sweep did not probe stay as they were."""
        at = time.time()
        stats = dict(self._stats)
        by_name: dict[Target, list[tuple[SocketAddress | None, ProbeResult]]] = {}
        for target, to, result in zip(probed, destinations, results, strict=True):
            if result is None:
                continue
            if target.address:
                stats[target.text] = stats[target.text].after(result, at)
            else:
                by_name.setdefault(target, []).append((to if isinstance(to, SocketAddress) else None, result))
        for target, ended in by_name.items():
            text, seconds = target.text, self._resolver.seconds(target.host)
            by_text = [(str(address.sockaddr[0]) if address else "", result) for address, result in ended]
            stats[text], self._by_address[text] = add_sweep(stats[text], self._by_address.get(text, {}), by_text, at, seconds)
            resolved = [(address, result) for address, result in ended if address]
            if resolved:  # of several addresses one that failed
                self._addresses[text] = next((address for address, result in resolved if result.reason), resolved[0][0])
        self._stats = stats
