"""A target given by name has several addresses: each is probed and remembered by itself, and together they are the target's record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.model import Level
from collectors.probe.connect.outcome import Reason
from collectors.probe.target_stats import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.model import Verdict
    from collectors.probe.connect.outcome import Outcome

    Addresses = Mapping[str, Record]


def after(
    total: Record, addresses: Addresses, ended: Sequence[tuple[str, Outcome]], at: float, seconds: float | None
) -> tuple[Record, Addresses]:
    """Add a sweep's outcomes, by address; "" stands for a look-up that failed, which every address has failed with.

    An address that this host cannot probe (no route for IPv6, say) is left out while others can be. Counts add up over the addresses;
    what is judged is the worst address's.
    """
    usable = [(address, outcome) for address, outcome in ended if not outcome.own_fault] or list(ended[:1])
    for _, outcome in usable:
        total = total.after(outcome, at, seconds)
    if usable[0][0] == "":
        records = {address: record.after(usable[0][1], at) for address, record in (addresses or {"": Record()}).items()}
    else:
        records = {address: addresses.get(address, Record()).after(outcome, at) for address, outcome in usable}
    worst = records[_worst(records)]
    total = total._replace(in_a_row=worst.in_a_row, since=worst.since, lossy=worst.lossy, window=worst.window, last=worst.last)
    return total, records


def speak(verdict: Verdict, addresses: Addresses) -> Verdict:
    """Say of which address a verdict speaks, where a name has several; while another one answers, it is no more than a warning."""
    if len(addresses) < 2 or not verdict.level:  # noqa: PLR2004 — one address is the target itself
        return verdict
    answering = sum(up(record) for record in addresses.values())
    bad = {address: record.in_a_row for address, record in addresses.items() if record.in_a_row}
    message = f"{_worst(addresses)}: {verdict.message}; {answering} of its {len(addresses)} addresses answer"
    level = min(verdict.level, Level.WARNING) if answering else verdict.level
    return replace(verdict, level=level, message=message, evidence={**verdict.evidence, "addresses": sorted(addresses), "failing": bad})


def up(record: Record) -> bool:
    """Tell whether the last probe of an address was answered."""
    return record.last is not None and record.last.reason is Reason.ANSWERED


def _worst(addresses: Addresses) -> str:
    return max(addresses, key=lambda address: (addresses[address].in_a_row, addresses[address].lossy))
