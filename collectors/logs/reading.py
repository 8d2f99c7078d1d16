"""Reading of the logs collector."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.logs.sources.coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.logs.fault_lifetime import Fault
    from collectors.logs.matching.packs import Signature
    from collectors.logs.sources.event import SourceStats
    from collectors.logs.sources.selection import SourceSelection, SourceUnavailable


@dataclass(frozen=True)
class LogsReading:
    """Event counts by signature, open faults, and the state of the sources.

    `last_seen` holds Unix times by signature; `lost` counts by (source, reason), 0 for each loss that may occur; `lost_at` holds the Unix
    times of the losses of the last hour, as far as they were since the start; `unavailable` is by source, `coverage` has what follows from
    it for the verdicts; `journal_restarts` is None where the journal is not read; `signatures` are those in use, by id.
    """

    events: Mapping[str, int]
    last_seen: Mapping[str, float]
    faults: Sequence[Fault]
    stats: Sequence[SourceStats]
    lost: Mapping[tuple[str, str], int]
    selection: SourceSelection
    unavailable: Mapping[str, SourceUnavailable]
    journal_restarts: int | None = None
    packs_valid: bool = True
    coverage: Coverage = field(default_factory=Coverage)
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    lost_at: Mapping[tuple[str, str], float] = field(default_factory=dict)
