"""What the probes have seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.probe.diagnosis.rules import Diagnosis
    from collectors.probe.dns.resolver import Lookups
    from collectors.probe.target_stats import Record
    from collectors.probe.targets.mesh import Choice


@dataclass(frozen=True)
class Reading:
    """The records of all targets on the list by target as written; those given by name also by address, and with their look-ups.

    `labels` are the values of the labels that come along; `files` says whether each file was in order; `mesh` is whom we watch in it.
    `diagnoses` say why bad targets are bad, as far as that has been found out.
    """

    records: Mapping[str, Record]
    files: Mapping[str, bool]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    addresses: Mapping[str, Mapping[str, Record]] = field(default_factory=dict)
    lookups: Mapping[str, Lookups] = field(default_factory=dict)
    mesh: Choice | None = None
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
