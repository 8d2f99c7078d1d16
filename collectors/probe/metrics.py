"""Metrics of targets, look-ups and the mesh."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from collectors.model import Family, Histogram, Kind, Metric
from collectors.probe.connect.result import FAILURES, LABELS
from collectors.probe.dns.multi_address import is_up
from collectors.probe.dns.resolver import LOOKUP_FAILURES
from collectors.probe.target_stats import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.probe.dns.resolver import Lookups
    from collectors.probe.reading import ProbeReading
    from collectors.probe.target_stats import TargetStats
    from collectors.probe.targets.mesh import PeerSelection

ATTEMPTS = Family("probe_attempts", Kind.COUNTER, "TCP probes of the target since it was listed.", ("target",))
FAILED = Family("probe_failures", Kind.COUNTER, "Failed TCP probes of the target since it was listed, by reason.", ("target", "reason"))
RTT = Family(
    "probe_rtt_seconds", Kind.HISTOGRAM, "Kernel-measured time from SYN to SYN-ACK, without retransmissions.", ("target",), BUCKETS
)
CONNECT = Family("probe_connect_seconds", Kind.GAUGE, "Duration of the last successful connect, with retransmissions.", ("target",))
RETRANSMITS = Family(
    "probe_syn_retransmits", Kind.COUNTER, "Retransmitted SYNs since the target was listed, failed probes included.", ("target",)
)
DNS = Family("probe_dns_seconds", Kind.GAUGE, "Duration of the last look-up of the target's name.", ("target",))
LOOKUPS = Family("probe_dns_lookups", Kind.COUNTER, "Look-ups of the target's name since it was listed.", ("target",))
LOOKUPS_FAILED = Family(
    "probe_dns_failures", Kind.COUNTER, "Failed look-ups of the target's name since it was listed, by reason.", ("target", "reason")
)
ADDRESSES = Family("probe_dns_addresses", Kind.GAUGE, "Addresses in the last successful look-up.", ("target",))
CHANGES = Family("probe_dns_changes", Kind.COUNTER, "Look-ups whose addresses differ from those of the one before.", ("target",))
ADDRESS_UP = Family("probe_address_up", Kind.GAUGE, "1 if the last probe of a name's address was answered, else 0.", ("target", "address"))
FILE_VALID = Family("probe_target_file_valid", Kind.GAUGE, "1 if the last read of the target file succeeded, else 0.", ("file",))
MESH_HOSTS = Family("probe_mesh_hosts", Kind.GAUGE, "Hosts in the mesh files; 0 while these are broken and the last peers are kept.")
MESH_PEERS = Family("probe_mesh_peers", Kind.GAUGE, "Mesh hosts that this host probes.")
MESH_SELF = Family("probe_mesh_self", Kind.INFO, "This host's own entry in the mesh files.", ("target", "target_zone"))


def measure_reading(reading: ProbeReading, label_names: tuple[str, ...]) -> Iterator[Metric]:
    """Return the series of every target, name, target file, and of the mesh."""
    families = [labelled(family, label_names) for family in (ATTEMPTS, RTT, RETRANSMITS, CONNECT, DNS)]
    failed = labelled(FAILED, label_names)
    for target, stats in reading.stats.items():
        extra = reading.labels.get(target, ())
        yield from _measure_target(stats, families, (target, *extra))
        for reason, count in zip(FAILURES, stats.failures, strict=True):
            yield Metric(failed, count, (target, reason, *extra))
    for target, lookups in reading.lookups.items():
        yield from _measure_lookups(target, lookups, reading.by_address.get(target, {}))
    for path, valid in reading.files.items():
        yield Metric(FILE_VALID, float(valid), (path,))
    if reading.mesh:
        yield from _measure_mesh(reading.mesh)


@lru_cache(maxsize=32)
def labelled(family: Family, names: tuple[str, ...]) -> Family:
    """Return a family of targets with the settings' extra labels; the same object each time, since caps go by identity."""
    return replace(family, labels=(*family.labels, *names)) if names else family


def _measure_target(stats: TargetStats, families: list[Family], labels: tuple[str, ...]) -> Iterator[Metric]:
    """Return the series of one target but for its failures; those without a first value yet (connect, DNS) are left out."""
    attempts, rtt, retransmits, connect, dns = families
    yield Metric(attempts, stats.attempts, labels)
    yield Metric(rtt, Histogram(stats.rtts, stats.rtt_sum), labels)
    yield Metric(retransmits, stats.retransmits, labels)
    if stats.connect_seconds is not None:
        yield Metric(connect, stats.connect_seconds, labels)
    if stats.dns_seconds is not None:
        yield Metric(dns, stats.dns_seconds, labels)


def _measure_lookups(target: str, lookups: Lookups, by_address: Mapping[str, TargetStats]) -> Iterator[Metric]:
    yield Metric(LOOKUPS, lookups.made, (target,))
    for reason, count in zip(LOOKUP_FAILURES, lookups.failures, strict=True):
        yield Metric(LOOKUPS_FAILED, count, (target, LABELS[reason]))
    yield Metric(ADDRESSES, lookups.addresses, (target,))
    yield Metric(CHANGES, lookups.changes, (target,))
    for address, stats in by_address.items():
        if address:
            yield Metric(ADDRESS_UP, float(is_up(stats)), (target, address))


def _measure_mesh(mesh: PeerSelection) -> Iterator[Metric]:
    yield Metric(MESH_HOSTS, mesh.hosts)
    yield Metric(MESH_PEERS, len(mesh.peers))
    for target, zone in mesh.own.items():
        yield Metric(MESH_SELF, 1.0, (target, zone))
