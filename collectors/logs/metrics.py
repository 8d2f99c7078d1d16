"""The logs' metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from collectors.model import Family, Kind, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EVENTS = Family("log_events", Kind.COUNTER, "Log lines that matched a signature.", ("signature",), cap=2000)
LAST = Family("log_last_event_timestamp_seconds", Kind.GAUGE, "When a signature was last seen, Unix time.", ("signature",), cap=2000)
LINES = Family("log_lines", Kind.COUNTER, "Lines, records or entries read.", ("source",), cap=200)
BYTES = Family("log_bytes", Kind.COUNTER, "Bytes read, without their envelopes.", ("source",), cap=200)
LOST = Family(
    "log_lost",
    Kind.COUNTER,
    "What could not be read: records, lines, or whole files where nobody can know more.",
    ("source", "reason"),
    cap=200,
)
LAG = Family("log_lag_bytes", Kind.GAUGE, "Bytes that are there and not read yet.", ("source",), cap=200)
READS = Family(
    "log_source_reads",
    Kind.GAUGE,
    "Whose words are counted from which source, and from no other: 1 for each choice.",
    ("source", "speaker"),
)
AVAILABLE = Family(
    "log_source_available", Kind.GAUGE, "Whether a source can be read; reason: missing, permission, off, failing.", ("source", "reason")
)
RESTARTS = Family("log_journal_restarts", Kind.COUNTER, "Times journalctl ended and was started again.")
PACKS_VALID = Family(
    "log_signatures_last_reload_successful", Kind.GAUGE, "1 if the signature packs as they are now are in use, 0 if older ones are."
)


class SourceStats(NamedTuple):
    """What one source has read since the start. `lag` is None where nobody can know."""

    source: str
    lines: int
    bytes: int
    lag: int | None
    lost: Mapping[str, int]


class Series:
    """Metric objects, made again only where their value has changed: most of hundreds are 0 for years."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ...], Metric] = {}

    def metric(self, family: Family, value: float, *labels: str) -> Metric:
        """Give a series' metric."""
        key = (family.name, *labels)
        kept = self._kept.get(key)
        if kept is None or kept.value != value:
            kept = self._kept[key] = Metric(family, value, labels)
        return kept

    def traffic(self, traffic: SourceStats) -> Iterator[Metric]:
        """Give one source's series."""
        yield self.metric(LINES, traffic.lines, traffic.source)
        yield self.metric(BYTES, traffic.bytes, traffic.source)
        if traffic.lag is not None:
            yield self.metric(LAG, traffic.lag, traffic.source)
        for reason, lost in traffic.lost.items():
            yield self.metric(LOST, lost, traffic.source, reason)
