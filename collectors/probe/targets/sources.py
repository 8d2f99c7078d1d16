"""All targets: those of settings and files, and the peers of the mesh, each with the values of the extra labels."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from collectors.disk import DiskHangs, DiskTask
from collectors.probe.targets.mesh import Mesh, PeerSelection
from collectors.probe.targets.target import Target, parse
from collectors.probe.targets.target_files import TargetFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.model import CollectorContext
    from collectors.probe.settings import ProbeSettings
    from collectors.probe.targets.file_sd import Group

    Listed = Mapping[Target, tuple[str, ...]]


READ_SECONDS = 1.0  # that a sweep waits for files; the targets before are probed while they hang


class _Contents(NamedTuple):
    """What the files listed at the last read that returned."""

    groups: tuple[tuple[Group, ...], ...] = ()
    mesh: PeerSelection | None = None
    valid: Mapping[str, bool] = {}


class TargetList:
    """All sources of targets. Without any configured, vitald's own listening addresses are the targets."""

    def __init__(self, settings: ProbeSettings, context: CollectorContext) -> None:
        grouped = [target for group in settings.groups for target in group.targets]
        named = settings.targets or settings.target_files or settings.mesh_files or grouped
        self._written = (*settings.targets, *grouped) if named else context.listening
        self._half_open = frozenset(target for group in settings.groups if group.mode == "syn" for target in group.targets)
        self._labels = tuple(settings.labels().values())
        self._files: TargetFiles[tuple[Group, ...]] = TargetFiles(settings.target_files, tuple)
        sources = (settings.mesh_files, settings.mesh_peers, settings.mesh_zone_label)
        self._mesh = Mesh(*sources, self._labels, context) if settings.mesh_files else None
        self._contents = _Contents(mesh=self._mesh.selection if self._mesh else None)
        self._task: DiskTask[tuple[bool, _Contents]] | None = None
        if settings.target_files or settings.mesh_files:
            self._task = DiskTask((*settings.target_files, *settings.mesh_files)[0])
        self.hangs: DiskHangs | None = None

    def refresh(self) -> bool:
        """Read changed files; True when the targets may have changed. While a file hangs (`hangs`), nothing changes."""
        if self._task is None:
            return False
        try:
            changed, self._contents = self._task.run(self._read, READ_SECONDS)
        except DiskHangs as error:
            self.hangs = error
            return False
        self.hangs = None
        return changed

    def _read(self) -> tuple[bool, _Contents]:
        """Read changed files, in a disk thread."""
        changed = self._files.refresh()
        changed |= bool(self._mesh and self._mesh.refresh(time.monotonic()))
        valid = self._files.valid() | dict(self._mesh.valid() if self._mesh else {})
        return changed, _Contents(tuple(self._files.kept()), self._mesh.selection if self._mesh else None, valid)

    def targets(self) -> Listed:
        """Return the targets with the values of their extra labels: each host and port once, as first written, in that order."""
        targets: dict[tuple[str, int], tuple[Target, tuple[str, ...]]] = {}
        none = ("",) * len(self._labels)
        for text, labels in self._listed(none):
            target = parse(text)
            first = targets.setdefault((target.host.lower(), target.port), (target, labels))
            if first[1] == none and labels != none:
                targets[target.host.lower(), target.port] = (first[0], labels)
        return dict(targets.values())

    def half_open_targets(self) -> frozenset[str]:
        """Return the targets that must not see connects, as written: those of `mode = "syn"`, in files the label __probe_mode__."""
        half_open = [group for groups in self._contents.groups for group in groups if group.labels.get("__probe_mode__") == "syn"]
        return self._half_open.union(target for group in half_open for target in group.targets)

    def mesh(self) -> PeerSelection | None:
        """Return the peers selected from the mesh files; None without any."""
        return self._contents.mesh

    def valid(self) -> Mapping[str, bool]:
        """Return by path whether each file's last read was valid."""
        return self._contents.valid

    def _listed(self, none: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
        for text in self._written:
            yield text, none
        for groups in self._contents.groups:
            for group in groups:
                labels = tuple([group.labels.get(name, "") for name in self._labels])
                for text in group.targets:
                    yield text, labels
        if self._contents.mesh:
            yield from self._contents.mesh.peers.items()
