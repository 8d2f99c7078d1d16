"""The mesh: a few peers out of a list of the whole fleet, chosen by this agent alone, and kept while the list is broken."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from collectors.probe.targets.rendezvous import choose
from collectors.probe.targets.self_identity import INSTANCE_ID_LABELS, Own, read_own
from collectors.probe.targets.target_files import TargetFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.model import CollectorContext
    from collectors.probe.targets.file_sd import Group

CALM = 30.0  # seconds between two looks at the lists: one that changes every second costs neither CPU nor a flood of new series

log = logging.getLogger(__name__)


class Member(NamedTuple):
    """What is known of a host on a list: its zone ("" if unknown) and the values of the labels that come along."""

    zone: str
    labels: tuple[str, ...]


class Listed(NamedTuple):
    """What is kept of a file: the targets of equal members in one string each, a line a target, and those that are this host's by their id.

    Ten thousand strings and tuples would be megabytes, and holes in the heap once the next list comes.
    """

    members: dict[Member, bytes]
    own: frozenset[str]

    def targets(self) -> Iterator[tuple[str, Member]]:
        """Give the targets one by one."""
        for member, lines in self.members.items():
            for line in lines.split():
                yield line.decode(), member


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom this agent watches: `peers` with their labels, out of `hosts` on the lists; `own` are its own entries, with their zones."""

    peers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hosts: int = 0
    own: Mapping[str, str] = field(default_factory=dict)


class Mesh:
    """The lists, and the peers chosen from them. `labels` are the file_sd labels that come along with each peer."""

    def __init__(self, patterns: Sequence[str], count: int, zone_label: str, labels: Sequence[str], host: CollectorContext) -> None:
        self._files = TargetFiles(patterns, self._keep)
        self._count = count
        self._zone_label = zone_label
        self._labels = labels
        self._host = host
        self._own = Own(frozenset(), "", "")
        self._due = float("-inf")
        self.choice = Choice()

    def refresh(self, now: float) -> bool:
        """Look at the lists, at most every CALM seconds of the monotonic time `now`; True when the choice has changed."""
        if now < self._due:
            return False
        self._due = now + CALM
        own, before = read_own(self._host), self.choice
        was, self._own = self._own, own
        if self._files.refresh() or own != was:
            self._choose()
        return self.choice != before

    def valid(self) -> Mapping[str, bool]:
        """Say of each list by its path whether it was in order when it was read last."""
        return self._files.valid()

    def _choose(self) -> None:
        """Choose anew. Lists that name nobody at all any more are taken for broken: the peers stay."""
        number = sum(lines.count(b"\n") for listed in self._files.kept() for lines in listed.members.values())
        if not number:
            if self.choice.peers and self.choice.hosts:
                log.warning("the mesh files name no host any more; the last %d peers stay", len(self.choice.peers))
            self.choice = Choice(self.choice.peers, 0, self.choice.own)
            return
        mine = self._mine()
        me = min(mine) if mine else self._own.key()
        others = ((target, member.zone) for target, member in self._targets() if target not in mine)
        chosen = set(choose(me, others, self._count))
        peers = {target: member.labels for target, member in self._targets() if target in chosen}
        self.choice = Choice(dict(sorted(peers.items())), number, mine)

    def _mine(self) -> dict[str, str]:
        """Find this host's own entries, and their zones."""
        same = self._own.among(target.rpartition(":")[0] for target, _ in self._targets())
        own = frozenset[str]().union(*(listed.own for listed in self._files.kept()))
        found = {target: member.zone for target, member in self._targets() if target in own or target.rpartition(":")[0] in same}
        return dict(sorted(found.items()))

    def _targets(self) -> Iterator[tuple[str, Member]]:
        for listed in self._files.kept():
            yield from listed.targets()

    def _keep(self, groups: Iterator[Group]) -> Listed:
        """Keep of a list what choosing needs."""
        members: dict[Member, bytearray] = {}
        own: set[str] = set()
        for group in groups:
            targets, labels = group.targets, group.labels
            member = Member(labels.get(self._zone_label, ""), tuple([labels.get(name, "") for name in self._labels]))
            lines = members.setdefault(member, bytearray())
            for target in targets:
                lines += b"%s\n" % target.encode()
            if self._own.instance_id and any(labels.get(name) == self._own.instance_id for name in INSTANCE_ID_LABELS):
                own.update(targets)
        return Listed({member: bytes(lines) for member, lines in members.items()}, frozenset(own))
