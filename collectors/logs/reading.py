"""What the log collector knows after a look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.logs.fault_lifetime import Fault
    from collectors.logs.matching.packs import Signature
    from collectors.logs.metrics import SourceStats
    from collectors.logs.sources.selection import SourceSelection, SourceUnavailable


@dataclass(frozen=True)
class LogsReading:
    """What has been counted, and what is read where. `lost` has a 0 for all that may be lost."""

    events: Mapping[str, int]
    last_seen: Mapping[str, float]
    faults: Sequence[Fault]
    traffic: Sequence[SourceStats]
    lost: Mapping[tuple[str, str], int]
    choice: SourceSelection
    troubles: Mapping[str, SourceUnavailable]
    restarts: int | None = None  # of journalctl; None where it is not used
    packs_valid: bool = True
    signatures: Mapping[str, Signature] = field(default_factory=dict)  # of the packs in force
