"""Metrics of the logs collector. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.logs.judge import CHECKS
from collectors.model import Family, Kind, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.logs.reading import LogsReading

EVENTS = Family("log_events", Kind.COUNTER, "Log lines that matched a signature; kept across restarts.", ("signature",), cap=2000)
LAST_SEEN = Family(
    "log_last_event_timestamp_seconds", Kind.GAUGE, "Time of a signature's last event as Unix time in seconds.", ("signature",), cap=2000
)
FAULT = Family(
    "log_fault_level",
    Kind.GAUGE,
    "Level of an open log fault: 1 warning, 2 critical; absent when the fault is over. device is the interface, device, unit, server or "
    "cgroup that the line is about, unit is the sender of the line.",
    ("check", "signature", "device", "unit", "meaning"),
    cap=500,
)
LINES = Family("log_lines", Kind.COUNTER, "Lines, records or entries read since the start.", ("source",), cap=200)
BYTES = Family("log_bytes", Kind.COUNTER, "Bytes of messages read since the start, without their envelopes.", ("source",), cap=200)
LOST = Family(
    "log_lost",
    Kind.COUNTER,
    "Records and lines that could not be read, files where their lines cannot be counted; kept across restarts.",
    ("source", "reason"),
    cap=200,
)
LAG = Family("log_lag_bytes", Kind.GAUGE, "Bytes that are written and not read yet.", ("source",), cap=200)
READS = Family(
    "log_source_reads", Kind.GAUGE, "Source that lines of an origin (kernel, programs) are counted from: always 1.", ("source", "origin")
)
AVAILABLE = Family(
    "log_source_available",
    Kind.GAUGE,
    "1 if a source can be read, else 0 with the reason: missing, permission, off, failing.",
    ("source", "reason"),
)
JOURNAL_RESTARTS = Family("log_journal_restarts", Kind.COUNTER, "Restarts of journalctl after a failure, since the start.")
PACKS_VALID = Family(
    "log_signatures_last_reload_successful", Kind.GAUGE, "1 if the signature packs on disk are in use, 0 if they are invalid."
)


def metrics_of(reading: LogsReading) -> Iterator[Metric]:
    """Yield the counts of each signature, the open faults, and the state of each source."""
    for name, count in reading.events.items():
        yield Metric(EVENTS, count, (name,))
    for name, at in reading.last_seen.items():
        yield Metric(LAST_SEEN, at, (name,))
    yield from _open_faults(reading)
    for source, lines, size, lag in reading.stats:
        yield Metric(LINES, lines, (source,))
        yield Metric(BYTES, size, (source,))
        if lag is not None:
            yield Metric(LAG, lag, (source,))
    for (source, reason), count in reading.lost.items():
        yield Metric(LOST, count, (source, reason))
    for origin, source in (("kernel", reading.selection.kernel), ("programs", reading.selection.programs)):
        yield Metric(READS, 1, (source, origin))
    for source in ("kmsg", "journal"):
        unavailable = reading.unavailable.get(source)
        yield Metric(AVAILABLE, unavailable is None, (source, unavailable.reason if unavailable else ""))
    if reading.journal_restarts is not None:
        yield Metric(JOURNAL_RESTARTS, reading.journal_restarts)
    yield Metric(PACKS_VALID, reading.packs_valid)


def _open_faults(reading: LogsReading) -> Iterator[Metric]:
    for fault in reading.faults:
        signature = reading.signatures[fault.signature]
        if (check := CHECKS.get(signature.family)) is not None:
            yield Metric(FAULT, fault.level, (check, fault.signature, fault.instance, fault.unit, signature.meaning))
