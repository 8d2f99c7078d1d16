"""A target's record, its look-ups and the mesh as numbers."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from collectors.model import Family, Histogram, Kind, Metric
from collectors.probe.connect.outcome import FAILURES, LABELS
from collectors.probe.dns.multi_address import up
from collectors.probe.dns.resolver import LOOKUP_FAILURES
from collectors.probe.target_stats import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.probe.dns.resolver import Lookups
    from collectors.probe.target_stats import Record
    from collectors.probe.targets.mesh import Choice

ATTEMPTS = Family("probe_attempts", Kind.COUNTER, "TCP probes of a target.", ("target",))
FAILED = Family("probe_failures", Kind.COUNTER, "TCP probes that failed, by reason.", ("target", "reason"))
RTT = Family(
    "probe_rtt_seconds", Kind.HISTOGRAM, "The kernel's own time from SYN to SYN-ACK, retransmissions excluded.", ("target",), BUCKETS
)
CONNECT = Family("probe_connect_seconds", Kind.GAUGE, "Time the last successful connect took, retransmissions included.", ("target",))
RETRANSMITS = Family("probe_syn_retransmits", Kind.COUNTER, "SYNs that had to be sent again, failed probes included.", ("target",))
DNS = Family("probe_dns_seconds", Kind.GAUGE, "Time the last look-up of the target's name took.", ("target",))
LOOKUPS = Family("probe_dns_lookups", Kind.COUNTER, "Look-ups of the target's name.", ("target",))
LOOKUPS_FAILED = Family("probe_dns_failures", Kind.COUNTER, "Look-ups of the target's name that failed, by reason.", ("target", "reason"))
ADDRESSES = Family("probe_dns_addresses", Kind.GAUGE, "Addresses that the last good look-up gave.", ("target",))
CHANGES = Family("probe_dns_changes", Kind.COUNTER, "Look-ups that gave other addresses than the one before.", ("target",))
ADDRESS_UP = Family("probe_address_up", Kind.GAUGE, "1 if the address of a name answered when it was probed last.", ("target", "address"))
FILE_VALID = Family("probe_target_file_valid", Kind.GAUGE, "1 if a target file was in order when it was read last.", ("file",))
MESH_HOSTS = Family("probe_mesh_hosts", Kind.GAUGE, "Hosts on the mesh files; 0 while they are broken, then the last peers stay.")
MESH_PEERS = Family("probe_mesh_peers", Kind.GAUGE, "Hosts that this one has chosen to watch.")
MESH_SELF = Family("probe_mesh_self", Kind.INFO, "This host's own entry on the mesh files.", ("target", "target_zone"))


@lru_cache(maxsize=32)
def labelled(family: Family, names: tuple[str, ...]) -> Family:
    """Give a family of targets with the labels that come along."""
    return replace(family, labels=(*family.labels, *names)) if names else family


def look_ups(target: str, lookups: Lookups, addresses: Mapping[str, Record]) -> Iterator[Metric]:
    """Give what became of the look-ups of a target's name, and of its addresses."""
    yield Metric(LOOKUPS, lookups.made, (target,))
    for reason, count in zip(LOOKUP_FAILURES, lookups.failures, strict=True):
        yield Metric(LOOKUPS_FAILED, count, (target, LABELS[reason]))
    yield Metric(ADDRESSES, lookups.addresses, (target,))
    yield Metric(CHANGES, lookups.changes, (target,))
    for address, record in addresses.items():
        if address:
            yield Metric(ADDRESS_UP, float(up(record)), (target, address))


def mesh(choice: Choice) -> Iterator[Metric]:
    """Give the mesh's size, the number of peers, and who this host is in it."""
    yield Metric(MESH_HOSTS, choice.hosts)
    yield Metric(MESH_PEERS, len(choice.peers))
    for target, zone in choice.own.items():
        yield Metric(MESH_SELF, 1.0, (target, zone))


class Series:
    """One target's series. Metrics are frozen, so those of failures are made anew only when a count has changed.

    `labels` are the values of the labels that come along, `names` the names these have on the series.
    """

    __slots__ = ("_failed", "_families", "_label", "_labels", "_reported")

    def __init__(self, target: str, names: tuple[str, ...] = (), labels: tuple[str, ...] = ()) -> None:
        self._label = (target, *labels)
        self._labels = [(target, reason, *labels) for reason in FAILURES]
        self._families = tuple([labelled(family, names) for family in (ATTEMPTS, FAILED, RTT, RETRANSMITS, CONNECT, DNS)])
        self._failed: tuple[int, ...] = ()
        self._reported: list[Metric] = []

    def measure(self, record: Record) -> Iterator[Metric]:
        """Give every series the target has; those without a first value yet (connect, DNS) are left out."""
        label = self._label
        attempts, failed, rtt, retransmits, connect, dns = self._families
        yield Metric(attempts, record.attempts, label)
        if record.failures is not self._failed:
            self._failed = record.failures
            self._reported = [Metric(failed, count, pair) for count, pair in zip(record.failures, self._labels, strict=True)]
        yield from self._reported
        yield Metric(rtt, Histogram(record.rtts, record.rtt_sum), label)
        yield Metric(retransmits, record.retransmits, label)
        if record.connect_seconds is not None:
            yield Metric(connect, record.connect_seconds, label)
        if record.dns_seconds is not None:
            yield Metric(dns, record.dns_seconds, label)
