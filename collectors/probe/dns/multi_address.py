"""Targets by name with several addresses: each address has its own statistics, and together they are the target's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.model import Level
from collectors.probe.connect.result import Reason
from collectors.probe.target_stats import TargetStats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.model import Verdict
    from collectors.probe.connect.result import ProbeResult

    StatsByAddress = Mapping[str, TargetStats]


def add_sweep(
    total: TargetStats, by_address: StatsByAddress, results: Sequence[tuple[str, ProbeResult]], at: float, dns_seconds: float | None
) -> tuple[TargetStats, StatsByAddress]:
    """Add a sweep's results by address; the address "" stands for a failed look-up, which counts for every known address.

    An address that this host cannot probe (no route for IPv6, say) is left out while others can be. Counts are summed over the
    addresses; the state of the target is that of its worst address.
    """
    usable = [(address, result) for address, result in results if not result.local_error] or list(results[:1])
    for _, result in usable:
        total = total.after(result, at, dns_seconds)
    if usable[0][0] == "":
        stats = {address: known.after(usable[0][1], at) for address, known in (by_address or {"": TargetStats()}).items()}
    else:
        stats = {address: by_address.get(address, TargetStats()).after(result, at) for address, result in usable}
    worst = stats[_worst(stats)]
    total = total._replace(in_a_row=worst.in_a_row, since=worst.since, lossy=worst.lossy, sweeps=worst.sweeps, last=worst.last)
    return total, stats


def qualify(verdict: Verdict, by_address: StatsByAddress) -> Verdict:
    """Return the verdict with the address it is about, where a name has several; a warning at most while another one answers."""
    if len(by_address) < 2 or not verdict.level:  # noqa: PLR2004 — one address is the target itself
        return verdict
    answering = sum(map(is_up, by_address.values()))
    failing = {address: stats.in_a_row for address, stats in by_address.items() if stats.in_a_row}
    message = f"{_worst(by_address)}: {verdict.message}; {answering} of its {len(by_address)} addresses answer"
    level = min(verdict.level, Level.WARNING) if answering else verdict.level
    return replace(
        verdict, level=level, message=message, evidence={**verdict.evidence, "addresses": sorted(by_address), "failing": failing}
    )


def is_up(stats: TargetStats) -> bool:
    """Return whether the last probe was answered."""
    return stats.last is not None and stats.last.reason is Reason.ANSWERED


def _worst(by_address: StatsByAddress) -> str:
    return max(by_address, key=lambda address: (by_address[address].in_a_row, by_address[address].lossy))
