"""Reading of the probe collector."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.probe.diagnosis.rules import Diagnosis
    from collectors.probe.dns.resolver import Lookups
    from collectors.probe.target_stats import TargetStats
    from collectors.probe.targets.mesh import PeerSelection
    from collectors.probe.targets.target import SocketAddress


@dataclass(frozen=True)
class ProbeReading:
    """State of all targets after a sweep, by target as written; targets without a result yet have empty statistics.

    `addresses` holds where each target was found last, `by_address` the statistics of each address of a name, `lookups` those of its
    look-ups. `labels` are the values of the settings' extra labels. `files` maps each target file to whether it is valid.
    `diagnoses` holds the cause for each bad target whose diagnosis has ended.
    """

    stats: Mapping[str, TargetStats]
    files: Mapping[str, bool] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    addresses: Mapping[str, SocketAddress] = field(default_factory=dict)
    by_address: Mapping[str, Mapping[str, TargetStats]] = field(default_factory=dict)
    lookups: Mapping[str, Lookups] = field(default_factory=dict)
    mesh: PeerSelection | None = None
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
