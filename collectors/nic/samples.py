"""Samples of counters, one per full scan, and increases between them. Pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.nic.readers.counters import CRITICAL_RESETS, increase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collectors.nic.readers.counters import DriverCounters
    from collectors.nic.readers.sysfs import ByteCounters
    from collectors.nic.readers.tcp_counters import TcpCounters

NOW_SECONDS = 60.0  # "now" is the last minute: shaping comes in bursts, and a verdict should not follow each
_KEPT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters at one full scan, by interface; `byte_counters` and `counters` only of interfaces with a device."""

    at: float  # seconds, monotonic
    tcp: TcpCounters | None
    byte_counters: Mapping[str, ByteCounters] = field(default_factory=dict)
    counters: Mapping[str, DriverCounters] = field(default_factory=dict)
    carrier_changes: Mapping[str, int] = field(default_factory=dict)


def appended(samples: tuple[Sample, ...], sample: Sample) -> tuple[Sample, ...]:
    """Return the samples with a new one, without those that are too old."""
    return (*(other for other in samples if sample.at - other.at <= _KEPT_SECONDS), sample)


def allowance_increases(name: str, samples: tuple[Sample, ...]) -> tuple[dict[str, int], float]:
    """Return by how much each EC2 allowance was exceeded within the last minute, in packets, and the seconds that the samples cover.

    The first sample is a baseline: what was counted before vitald started does not count.
    """
    return _increases(name, samples, "allowances", NOW_SECONDS)


def reset_increases(name: str, samples: tuple[Sample, ...], seconds: float) -> dict[str, int]:
    """Return the driver's resets within the last seconds by reason."""
    return _increases(name, samples, "resets", seconds)[0]


def critical_resets(resets: Iterable[str]) -> list[str]:
    """Return the reset reasons that are never harmless."""
    return [reason for reason in resets if reason in CRITICAL_RESETS]


def _increases(name: str, samples: tuple[Sample, ...], table: str, seconds: float) -> tuple[dict[str, int], float]:
    recent = [sample for sample in samples if samples[-1].at - sample.at <= seconds and name in sample.counters]
    total: dict[str, int] = {}
    for before, after in itertools.pairwise(recent):
        old: Mapping[str, int] = getattr(before.counters[name], table)
        for counter, growth in increase(old, getattr(after.counters[name], table)).items():
            total[counter] = total.get(counter, 0) + growth
    return total, recent[-1].at - recent[0].at if recent else 0.0
