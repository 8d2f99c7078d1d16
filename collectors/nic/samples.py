"""What rates are made of: the last minutes' counters, a sample for each full look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.nic.readers.tcp_counters import read_tcp
from collectors.nic.reading import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from collectors.nic.readers.interface_reader import Looker
    from collectors.nic.reading import Nic

KEPT_SECONDS = 600.0
MOST_SAMPLED = 32  # interfaces with a device behind them whose traffic is kept: an instance has 15 at most


def with_sample(
    samples: tuple[Sample, ...], now: float, nics: Mapping[str, Nic], looker: Looker, proc: Path, *, apart: float
) -> tuple[Sample, ...]:
    """Add one, unless the last is less than `apart` seconds old, and drop what is too old. Equal tables are kept once."""
    if samples and now - samples[-1].at < apart:
        return samples
    sampled = [nic for nic in nics.values() if nic.link.physical or nic.counters.allowances][:MOST_SAMPLED]
    traffic = {nic.link.name: seen for nic in sampled if (seen := looker.traffic(nic.link.name)) is not None}
    counters = {nic.link.name: nic.counters for nic in sampled}
    carriers: Mapping[str, int] = {name: nic.link.carrier_changes for name, nic in nics.items()}
    if samples and samples[-1].carrier_changes == carriers:
        carriers = samples[-1].carrier_changes
    recent = tuple(sample for sample in samples if now - sample.at <= KEPT_SECONDS)
    return (*recent, Sample(now, read_tcp(proc), traffic, counters, carriers))
