"""The mesh: a few peers out of a list of the whole fleet, selected by this agent alone, and kept while the list is broken."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from collectors.probe.targets.rendezvous import choose
from collectors.probe.targets.self_identity import INSTANCE_ID_LABELS, SelfIdentity, read_self_identity
from collectors.probe.targets.target_files import TargetFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.model import CollectorContext
    from collectors.probe.targets.file_sd import Group

REFRESH_SECONDS = 30.0  # between two reads of the lists: one that changes each second costs neither CPU nor a flood of new series

log = logging.getLogger(__name__)


class MeshMember(NamedTuple):
    """Attributes of a host on a list: its zone ("" if unknown) and the values of the extra labels."""

    zone: str
    labels: tuple[str, ...]


class Listed(NamedTuple):
    """Kept contents of a file: the targets of equal members in one string each, a line a target, and those with this host's instance id.

    Ten thousand strings and tuples would be megabytes, and fragment the heap with the next list.
    """

    members: dict[MeshMember, bytes]
    own: frozenset[str]

    def targets(self) -> Iterator[tuple[str, MeshMember]]:
        """Yield the targets one by one."""
        for member, lines in self.members.items():
            for line in lines.split():
                yield line.decode(), member


@dataclass(frozen=True, slots=True)
class PeerSelection:
    """The peers that this agent probes with their labels, out of `hosts` on the lists; `own` maps its own entries to their zones."""

    peers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hosts: int = 0
    own: Mapping[str, str] = field(default_factory=dict)


class Mesh:
    """The lists, and the peers selected from them. `labels` are the file_sd labels that become extra labels of each peer."""

    def __init__(self, patterns: Sequence[str], count: int, zone_label: str, labels: Sequence[str], context: CollectorContext) -> None:
        self._files = TargetFiles(patterns, self._reduce)
        self._count = count
        self._zone_label = zone_label
        self._labels = labels
        self._context = context
        self._identity = SelfIdentity(frozenset(), "", "")
        self._due = float("-inf")
        self.selection = PeerSelection()

    def refresh(self, now: float) -> bool:
        """Read the lists, at most every REFRESH_SECONDS of the monotonic time `now`; True when the selection has changed."""
        if now < self._due:
            return False
        self._due = now + REFRESH_SECONDS
        identity, before = read_self_identity(self._context), self.selection
        identity_before, self._identity = self._identity, identity
        if self._files.refresh() or identity != identity_before:
            self._select()
        return self.selection != before

    def valid(self) -> Mapping[str, bool]:
        """Return by path whether each list's last read was valid."""
        return self._files.valid()

    def _select(self) -> None:
        """Select the peers. Lists without any host are treated as broken: the peers are kept."""
        number = sum(lines.count(b"\n") for listed in self._files.kept() for lines in listed.members.values())
        if not number:
            if self.selection.peers and self.selection.hosts:
                log.warning("mesh files list no host, keeping the previous peers peers=%d", len(self.selection.peers))
            self.selection = PeerSelection(self.selection.peers, 0, self.selection.own)
            return
        own = self._own_entries()
        me = min(own) if own else self._identity.key()
        others = ((target, member.zone) for target, member in self._targets() if target not in own)
        chosen = set(choose(me, others, self._count))
        peers = {target: member.labels for target, member in self._targets() if target in chosen}
        self.selection = PeerSelection(dict(sorted(peers.items())), number, own)

    def _own_entries(self) -> dict[str, str]:
        """Return this host's own entries with their zones."""
        hosts = self._identity.among(target.rpartition(":")[0] for target, _ in self._targets())
        by_id = frozenset[str]().union(*(listed.own for listed in self._files.kept()))
        entries = {target: member.zone for target, member in self._targets() if target in by_id or target.rpartition(":")[0] in hosts}
        return dict(sorted(entries.items()))

    def _targets(self) -> Iterator[tuple[str, MeshMember]]:
        for listed in self._files.kept():
            yield from listed.targets()

    def _reduce(self, groups: Iterator[Group]) -> Listed:
        """Reduce a list to what selecting needs."""
        members: dict[MeshMember, bytearray] = {}
        own: set[str] = set()
        for group in groups:
            targets, labels = group.targets, group.labels
            member = MeshMember(labels.get(self._zone_label, ""), tuple([labels.get(name, "") for name in self._labels]))
            lines = members.setdefault(member, bytearray())
            for target in targets:
                lines += b"%s\n" % target.encode()
            if self._identity.instance_id and any(labels.get(name) == self._identity.instance_id for name in INSTANCE_ID_LABELS):
                own.update(targets)
        return Listed({member: bytes(lines) for member, lines in members.items()}, frozenset(own))
