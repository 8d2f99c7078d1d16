"""Who is to be probed: the targets of settings and files, and the peers of the mesh, each with the labels that come along."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from collectors.probe.targets.mesh import Choice, Mesh
from collectors.probe.targets.target import Target, parse
from collectors.probe.targets.target_files import TargetFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.model import CollectorContext
    from collectors.probe.settings import ProbeSettings
    from collectors.probe.targets.file_sd import Group

    Listed = Mapping[Target, tuple[str, ...]]


class TargetList:
    """Where targets come from. With nothing configured, vitald itself is one: a canary for the way probes go."""

    def __init__(self, settings: ProbeSettings, host: CollectorContext) -> None:
        grouped = [target for group in settings.groups for target in group.targets]
        named = settings.targets or settings.target_files or settings.mesh_files or grouped
        self._written = (*settings.targets, *grouped) if named else host.listening
        self._half_open = frozenset(target for group in settings.groups if group.mode == "syn" for target in group.targets)
        self._labels = tuple(settings.labels().values())
        self._files: TargetFiles[tuple[Group, ...]] = TargetFiles(settings.target_files, tuple)
        sources = (settings.mesh_files, settings.mesh_peers, settings.mesh_zone_label)
        self._mesh = Mesh(*sources, self._labels, host) if settings.mesh_files else None

    def refresh(self) -> bool:
        """Look for changed files; True when the targets may have changed."""
        changed = self._files.refresh()
        return bool(self._mesh and self._mesh.refresh(time.monotonic())) or changed

    def targets(self) -> Listed:
        """Give the targets with their labels' values: each host and port once, as it was written first, in that order."""
        found: dict[tuple[str, int], tuple[Target, tuple[str, ...]]] = {}
        none = ("",) * len(self._labels)
        for text, labels in self._listed(none):
            target = parse(text)
            known = found.setdefault((target.host.lower(), target.port), (target, labels))
            if known[1] == none and labels != none:
                found[target.host.lower(), target.port] = (known[0], labels)
        return dict(found.values())

    def half_open(self) -> frozenset[str]:
        """Give the targets that must not see connects, as written: those of `mode = "syn"`, in files the label __probe_mode__."""
        shy = [group for groups in self._files.kept() for group in groups if group.labels.get("__probe_mode__") == "syn"]
        return self._half_open.union(target for group in shy for target in group.targets)

    def choice(self) -> Choice | None:
        """Give the mesh as it is; None where there is none."""
        return self._mesh.choice if self._mesh else None

    def valid(self) -> dict[str, bool]:
        """Say of each file by its path whether it was in order when it was read last."""
        return self._files.valid() | dict(self._mesh.valid() if self._mesh else {})

    def _listed(self, none: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
        for text in self._written:
            yield text, none
        for groups in self._files.kept():
            for group in groups:
                labels = tuple([group.labels.get(name, "") for name in self._labels])
                for text in group.targets:
                    yield text, labels
        if self._mesh:
            yield from self._mesh.choice.peers.items()
