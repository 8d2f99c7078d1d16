"""Settings of the probe collector."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec

from collectors.model import BadInput
from collectors.probe.targets import file_sd
from collectors.probe.targets.target import parse
from collectors.settings import Duration, Settings, refuse_unless

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_TIMEOUT, MIN_SYN_INTERVAL = 0.01, 10.0  # seconds
MAX_PEERS = 1000  # as many as a label may have values
MAX_LABELS = 8  # each is part of some forty series a target

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}", re.ASCII)  # Prometheus' data model


class TargetGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[probe.groups]]`: targets with a probe mode of their own."""

    targets: tuple[str, ...]
    mode: Literal["connect", "syn"] = "connect"


class ProbeSettings(Settings, frozen=True, kw_only=True):
    """`[probe]` in vitald.toml."""

    interval: Duration = Duration(5.0)
    targets: tuple[str, ...] = ()
    target_files: tuple[str, ...] = ()
    groups: tuple[TargetGroup, ...] = ()
    syn_interval: Duration = Duration(60.0)
    target_labels: tuple[str, ...] = ()
    mesh_files: tuple[str, ...] = ()
    mesh_peers: int = 20
    mesh_zone_label: str = "availability_zone"
    timeout: Duration = Duration(2.0)
    failures_until_critical: int = 3

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        refuse_unless(self.timeout >= MIN_TIMEOUT, "timeout: must be at least 10ms")
        refuse_unless(self.timeout < self.interval, f"timeout: must be shorter than interval ({self.interval:g} s), not {self.timeout:g} s")
        refuse_unless(self.failures_until_critical >= 1, "failures_until_critical: must be at least 1")
        refuse_unless(1 <= self.mesh_peers <= MAX_PEERS, f"mesh_peers: must be between 1 and {MAX_PEERS}")
        refuse_unless(self.syn_interval >= MIN_SYN_INTERVAL, "syn_interval: must be at least 10s, since each round starts a process")
        _check_targets("targets", self.targets)
        for group in self.groups:
            _check_targets("groups: targets", group.targets)
        _check_patterns("target_files", self.target_files)
        _check_patterns("mesh_files", self.mesh_files)
        refuse_unless(len(self.target_labels) <= MAX_LABELS, f"target_labels: at most {MAX_LABELS} labels are possible")
        _check_label("mesh_zone_label", self.mesh_zone_label)
        for label in self.target_labels:
            _check_label("target_labels", label)
        zone_twice = self.mesh_files and "zone" in self.target_labels and self.mesh_zone_label != "zone"
        refuse_unless(not zone_twice, f"target_labels: target_zone is the label {self.mesh_zone_label!r} already (mesh_zone_label)")

    def labels(self) -> dict[str, str]:
        """Return the file_sd label of each extra label by its name on the series; a mesh always has the zone."""
        zone = {"target_zone": self.mesh_zone_label} if self.mesh_files else {}
        return zone | {f"target_{label}": label for label in self.target_labels}


def _check_targets(key: str, targets: Sequence[str]) -> None:
    for target in targets:
        try:
            parse(target)
        except BadInput as error:
            raise ValueError(f"{key}: {error}") from None


def _check_patterns(key: str, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        refuse_unless(pattern.startswith("/"), f"{key}: {pattern!r:.80} must be an absolute path")
        refuse_unless(pattern.lower().endswith(file_sd.SUFFIXES), f"{key}: {pattern!r:.80} must end in {', '.join(file_sd.SUFFIXES)}")
        refuse_unless("\0" not in pattern, f"{key}: {pattern!r:.80} has a NUL in it")


def _check_label(key: str, label: str) -> None:
    refuse_unless(_LABEL.fullmatch(label) is not None, f"{key}: {label!r:.80} is not a label name; expected letters, digits and '_'")
