"""TCP probes: is each target reachable, how far away is it, and does it take more than one SYN."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from collectors.model import BadInput, Collector, Metric, Unavailable
from collectors.probe import conntrack, file_sd, target_files
from collectors.probe.judge import judge
from collectors.probe.metrics import FILE_VALID, Series
from collectors.probe.panel import targets
from collectors.probe.reasons import Outcome, Reason
from collectors.probe.record import Record
from collectors.probe.resolver import Resolver
from collectors.probe.sweep import Sweeper
from collectors.probe.targets import Target, parse
from collectors.settings import Duration, Settings, refuse_unless

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from collectors.model import Host, Verdict
    from collectors.panel import Panel
    from collectors.probe.sweep import Planned

SPREAD = 0.8  # of the time that is left beside the timeout: a sweep ends before the next begins, with some to spare
LONGEST_WINDOW = 10.0  # seconds: whoever probes every hour still wants an answer from `vitald check`
SHORTEST_TIMEOUT = 0.01  # seconds


class ProbeSettings(Settings, frozen=True, kw_only=True):
    """`[probe]` in vitald.toml."""

    every: Duration = Duration(5.0)
    targets: tuple[str, ...] = ()
    target_files: tuple[str, ...] = ()
    timeout: Duration = Duration(2.0)
    failures_until_critical: int = 3

    def __post_init__(self) -> None:
        """Refuse what cannot work; the message begins with the key."""
        Settings.__post_init__(self)
        refuse_unless(self.timeout >= SHORTEST_TIMEOUT, "timeout: must be at least 10ms")
        refuse_unless(self.timeout < self.every, f"timeout: must be shorter than every ({self.every:g} s), not {self.timeout:g} s")
        refuse_unless(self.failures_until_critical >= 1, "failures_until_critical: must be at least 1")
        for target in self.targets:
            try:
                parse(target)
            except BadInput as bad:
                raise ValueError(f"targets: {bad}") from None
        for pattern in self.target_files:
            refuse_unless(pattern.startswith("/"), f"target_files: {pattern!r:.80} must be an absolute path")
            right = pattern.lower().endswith(file_sd.SUFFIXES)
            refuse_unless(right, f"target_files: {pattern!r:.80} must end in {', '.join(file_sd.SUFFIXES)}")
            refuse_unless("\0" not in pattern, f"target_files: {pattern!r:.80} has a NUL in it")


@dataclass(frozen=True)
class Reading:
    """The records of all targets on the list, by target as written, and whether each target file was in order."""

    records: Mapping[str, Record]
    files: Mapping[str, bool]


class Probe(Collector[Reading]):
    """Connects to every target once a sweep."""

    name = "probe"
    Settings: ClassVar[type[Settings]] = ProbeSettings

    def __init__(self, settings: ProbeSettings, host: Host) -> None:
        self._settings = settings
        self._host = host
        self._files = target_files.TargetFiles(settings.target_files)
        self._window = min(LONGEST_WINDOW, SPREAD * (settings.every - settings.timeout))
        self._sweeper = Sweeper()
        self._resolver = Resolver(settings.timeout)
        self._targets: tuple[Target, ...] | None = None
        self._records: dict[str, Record] = {}
        self._series: dict[str, Series] = {}

    def read(self) -> Reading:
        """Probe every target once, spread over the interval."""
        if self._files.refresh() or self._targets is None:
            self._adopt(tuple(self._listed()))
        files = self._files.valid()
        if not self._targets and not files:
            raise Unavailable("unconfigured", "there is nothing to probe: [probe] targets and target_files name no target")
        plan = self._plan()
        outcomes = self._sweeper.run(plan, self._settings.timeout, self._window, self._ask)
        self._add(self._blame(outcomes))
        return Reading(self._records, files)

    def judge(self, readings: Sequence[Reading]) -> Iterator[Verdict]:
        """Give one `tcp_probe` verdict for each target."""
        critical = self._settings.failures_until_critical
        for target, record in readings[-1].records.items():
            yield judge(target, record, critical)

    def measure(self, reading: Reading) -> Iterator[Metric]:
        """Give every target's series, and every target file's."""
        for target, record in reading.records.items():
            series = self._series.get(target) or self._series.setdefault(target, Series(target))
            yield from series.measure(record)
        for path, valid in reading.files.items():
            yield Metric(FILE_VALID, float(valid), (path,))

    def show(self, readings: Sequence[Reading]) -> Iterator[Panel]:
        """Show the targets in a table."""
        yield targets(readings[-1].records)

    @classmethod
    def problems(cls, settings: ProbeSettings) -> Iterable[str]:
        """Name the target files that are not in order."""
        return target_files.problems(settings.target_files)

    def close(self) -> None:
        """End the sweep that may be out; a hanging look-up is not waited for."""
        self._sweeper.stop()
        self._resolver.close()

    def _listed(self) -> Iterator[Target]:
        """Give the targets of settings and files; with none configured, vitald itself: a canary for the way probes go."""
        own = self._host.listening if not (self._settings.targets or self._settings.target_files) else ()
        for text in (*own, *self._settings.targets):
            yield parse(text)
        for group in self._files.groups():
            for text in group.targets:
                yield parse(text)

    def _adopt(self, listed: tuple[Target, ...]) -> None:
        """Take a new list: who stays keeps the record, who left is forgotten, who is named twice is probed once."""
        once = {(target.host.lower(), target.port): target for target in reversed(listed)}
        self._targets = tuple(reversed(once.values()))
        self._records = {target.text: self._records.get(target.text, Record()) for target in self._targets}
        self._series = {target: series for target, series in self._series.items() if target in self._records}
        self._resolver.want(target.host for target in self._targets if target.address is None)

    def _plan(self) -> Sequence[Planned]:
        return [target.address or self._resolver.ask(target.host, target.port) for target in self._targets or ()]

    def _ask(self, index: int) -> Planned:
        assert self._targets is not None  # noqa: S101 — set by read(), for mypy
        target = self._targets[index]
        return self._resolver.ask(target.host, target.port)

    def _blame(self, outcomes: list[Outcome | None]) -> list[Outcome | None]:
        """Put down to this host what its full connection table did: SYNs that never left, and silence that nothing else explains."""
        suspects = [index for index, outcome in enumerate(outcomes) if outcome and _may_be_conntrack(outcome)]
        if suspects and conntrack.full(self._host.proc):
            for index in suspects:
                outcomes[index] = outcomes[index]._replace(reason=Reason.LOCAL_RESOURCES, own_fault=True)  # type: ignore[union-attr]
        return outcomes

    def _add(self, outcomes: list[Outcome | None]) -> None:
        """Write the outcomes into the records; what a stopped sweep did not get to stays as it was."""
        at = time.time()
        records = dict(self._records)
        for target, outcome in zip(self._targets or (), outcomes, strict=True):
            if outcome is not None:
                seconds = None if target.address else self._resolver.seconds(target.host)
                records[target.text] = records[target.text].after(outcome, at, seconds)
        self._records = records


def _may_be_conntrack(outcome: Outcome) -> bool:
    """Tell what a full table may have done: our own side dropped the SYN, or no SYN was sent again that could have told us."""
    blocked = outcome.reason is Reason.PERMISSION and outcome.retransmits > 0
    return blocked or (outcome.reason is Reason.TIMEOUT and outcome.retransmits == 0)
