"""Parsers of lease files and of the kernel's address messages, for any input."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.dhcp.addresses import is_relevant, parse_address
from collectors.dhcp.collector import DhcpCollector, DhcpSettings
from collectors.dhcp.judge import judge_leases
from collectors.dhcp.lease_files import LeaseRecord, parse_dhclient, parse_keys, read_lease_files
from collectors.dhcp.leases import Lease, Leases, update_leases
from collectors.model import CollectorContext, Level, Unavailable
from collectors.netlink.message import attributes, messages
from tests.collectors.dhcp.known import LINKS, NAMES, level

if TYPE_CHECKING:
    from pathlib import Path


def test_the_lease_file_and_the_kernel_may_disagree_and_the_kernels_value_is_used() -> None:
    lease = Lease("eth0", 2, "10.0.0.56", 100.0, 3600.0)
    file = LeaseRecord("10.0.0.56", "dhclient", 86_400, "/var/lib/dhcp/dhclient.eth0.leases")
    (verdict,) = judge_leases({("eth0", "10.0.0.56"): lease}, {"10.0.0.56": file}, 0.0)
    assert verdict.level == Level.CRITICAL
    assert verdict.evidence["disagreement"] == "the lease file says 86400 s, the kernel 3600 s: the kernel removes the address"


LEASE6 = """default-duid "\\000\\001";
lease6 {
  interface "one";
  ia-na e7:0c:b0:67 {
    starts 1795276544;
    renew 60;
    rebind 105;
    iaaddr fd97::51 {
      starts 1795276544;
      preferred-life 120;
      max-life 150;
    }
  }
  option dhcp6.status-code success "success";
}
lease6 {
  ia-na e7:0c:b0:67 {
    iaaddr fd97::52 {
      preferred-life 12"""
DHCLIENT = """
lease {
  interface "eth0";
  fixed-address 10.0.0.56;
  option dhcp-lease-time 1800;
  renew 6 2026/11/21 12:00:00;
}
lease {
  interface "eth0";
  fixed-address 10.0.0.56;
  option dhcp-lease-time 3600;
}
lease {
  fixed-address 10.0.0.99;
  option dhcp-lease-ti"""


def test_a_dhclient_lease_of_an_ipv6_address_is_parsed() -> None:
    assert parse_dhclient(LEASE6) == {"fd97::51": 150}


def test_lease_files_are_read_and_a_truncated_lease_is_not(tmp_path: Path) -> None:
    assert parse_dhclient(DHCLIENT) == {"10.0.0.56": 3600}
    assert parse_keys("# This is private data\nADDRESS=10.0.0.56\nLIFETIME=3600\nT1=1800\n") == {"10.0.0.56": 3600}
    (tmp_path / "var/lib/dhcp").mkdir(parents=True)
    (tmp_path / "var/lib/dhcp/dhclient.eth0.leases").write_text(DHCLIENT)
    (tmp_path / "var/lib/dhcp/dhclient.eth1.leases").mkdir()
    (tmp_path / "run/systemd/netif/leases").mkdir(parents=True)
    (tmp_path / "run/systemd/netif/leases/2").write_text("ADDRESS=10.0.0.57\nLIFETIME=ever\n")
    assert {name: (file.client, file.seconds) for name, file in read_lease_files(tmp_path).items()} == {
        "10.0.0.56": ("dhclient", 3600),
        "10.0.0.57": ("systemd-networkd", 0),
    }


@given(st.text(max_size=300))
def test_no_text_fails_the_lease_file_parsers(text: str) -> None:
    parse_dhclient(text)
    parse_keys(text)


@given(st.binary(max_size=200))
def test_no_bytes_fail_the_netlink_parser(block: bytes) -> None:
    for _, _, message in [*messages(block), (0, 0, block)]:
        parse_address(message, NAMES, 0.0)
        is_relevant(message, frozenset())
        attributes(message, 8)


def newaddr(valid: int, preferred: int, flags: int = 0, stamp: int = 100, index: int = 2) -> bytes:
    """Pack an RTM_NEWADDR payload as inet_fill_ifaddr (net/ipv4/devinet.c) does."""
    body = struct.pack("=BBBBi", 2, 24, flags, 0, index)
    for kind, payload in ((2, bytes([10, 0, 0, 56])), (3, b"eth0\0"), (6, struct.pack("=IIII", preferred, valid, 50, stamp))):
        padded = payload + bytes(-len(payload) % 4)
        body += struct.pack("=HH", 4 + len(payload), kind) + padded
    return body


@pytest.mark.parametrize(
    ("valid", "preferred", "expected"),
    [(0, 0, (0.0, 0.0)), (2**32 - 1, 2**32 - 1, (None, None)), (2**32 - 2, 0, (4294967294.0, 0.0)), (3600, 2**32 - 1, (3600.0, None))],
)
def test_lifetimes_from_zero_to_infinity_are_parsed(valid: int, preferred: int, expected: tuple[float | None, float | None]) -> None:
    read = parse_address(newaddr(valid, preferred), NAMES, 11.0)
    assert read is not None
    assert (read.valid, read.preferred, read.age, read.address) == (*expected, 10.0, "10.0.0.56")


def test_an_address_in_its_last_second_is_lost_in_0_s() -> None:
    read = parse_address(newaddr(0, 0), NAMES, 3601.0)
    assert read is not None
    known = update_leases(Leases(), [read], LINKS, 3601.0)
    assert level(known.leases["eth0", "10.0.0.56"], 3601.0) == (
        Level.CRITICAL,
        "renewal and rebinding missed; address 10.0.0.56 on eth0 is lost in 0 s",
    )


def test_events_of_static_addresses_are_relevant_only_where_a_lease_is() -> None:
    permanent, dynamic = newaddr(2**32 - 1, 2**32 - 1, flags=0x80), newaddr(3600, 3600)
    assert is_relevant(dynamic, frozenset())
    assert not is_relevant(permanent, frozenset({3}))
    assert is_relevant(permanent, frozenset({2}))  # the lease may have become static


def test_a_recorded_host_has_no_countdown(tmp_path: Path) -> None:
    (tmp_path / "ethtool").mkdir()
    with pytest.raises(Unavailable):
        DhcpCollector(DhcpSettings(), CollectorContext(root=tmp_path)).read()
