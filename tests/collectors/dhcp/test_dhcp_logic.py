"""Pure parts: following leases, judging the countdown, reading clients' files."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.dhcp.addresses import Address, _age, concerns, parse_address
from collectors.dhcp.collector import DhcpCollector, DhcpSettings
from collectors.dhcp.countdown import verdicts
from collectors.dhcp.leasefiles import OnFile, parse_dhclient, parse_keys, read_leasefiles
from collectors.dhcp.leases import Lease, Leases, dump, follow, restore
from collectors.dhcp.panel import panel
from collectors.model import Host, Level, Unavailable
from collectors.rtnetlink import attributes, messages

if TYPE_CHECKING:
    from pathlib import Path

LINKS = {"eth0": 2}
NAMES = {2: "eth0"}


def address(valid: float | None, stamp: int = 0, name: str = "10.0.0.56", *, age: float = 0.0, preferred: float | None = None) -> Address:
    return Address("eth0", 2, name, valid, valid if preferred is None else preferred, age, stamp)


def level(lease: Lease, now: float = 0.0, files: dict[str, OnFile] | None = None) -> tuple[Level, str]:
    (verdict,) = verdicts({(lease.interface, lease.address): lease}, files or {}, now)
    return verdict.level, verdict.message


@pytest.mark.parametrize(
    ("left", "expected"),
    [(3600, 0), (1800, 0), (1621, 0), (1619, 1), (1260, 1), (451, 1), (449, 2), (1, 2), (0, 2)],
)
def test_the_thresholds_are_rfc_2131s_with_room_for_the_clients_spread(left: int, expected: int) -> None:
    assert level(Lease("eth0", 2, "10.0.0.56", left, 3600.0))[0] == expected


def test_the_message_says_what_is_lost_and_when() -> None:
    assert level(Lease("eth0", 2, "10.0.0.56", 1260.0, 3600.0))[1] == "renewal missed; address 10.0.0.56 on eth0 is lost in 21 min"


def test_a_lease_of_no_length_is_critical_and_divides_by_nothing() -> None:
    assert level(Lease("eth0", 2, "10.0.0.56", 0.0, 0.0))[0] == Level.CRITICAL


def test_renewals_are_counted_by_the_end_moving_away() -> None:
    known = follow(Leases(), [address(3600.0, 100)], LINKS, 0.0)
    known = follow(known, [address(1800.0, 100, age=1800.0)], LINKS, 1800.0)
    assert known.renewals == {"eth0": 0}
    known = follow(known, [address(3600.0, 180_200)], LINKS, 1802.0)
    assert known.renewals == {"eth0": 1}
    assert known.leases["eth0", "10.0.0.56"].seconds == 3600.0


def test_a_clock_that_runs_apart_from_the_kernels_ticks_is_no_renewal() -> None:
    """CLOCK_MONOTONIC is slewed by NTP, jiffies are not: over a day of one lease they drift apart by seconds."""
    known = follow(Leases(), [address(86_400.0, 100)], LINKS, 0.0)
    known = follow(known, [address(43_205.0, 100, age=43_195.0)], LINKS, 43_200.0)
    assert known.renewals == {"eth0": 0}
    lease = known.leases["eth0", "10.0.0.56"]
    assert (lease.ends, lease.seconds) == (86_405.0, 86_400.0)


def test_two_settings_within_one_tick_of_the_kernels_are_a_renewal_all_the_same() -> None:
    known = follow(Leases(), [address(400.0, 100)], LINKS, 0.0)
    assert follow(known, [address(3600.0, 100)], LINKS, 0.01).renewals == {"eth0": 1}


def test_a_client_that_sets_what_is_left_does_not_shorten_the_lease() -> None:
    known = follow(Leases(), [address(3600.0, 100)], LINKS, 0.0)
    known = follow(known, [address(1500.0, 210_000)], LINKS, 2100.0)
    assert known.leases["eth0", "10.0.0.56"].seconds == 3600.0
    assert known.renewals == {"eth0": 0}


def test_a_shorter_lease_at_a_renewal_is_the_lease() -> None:
    known = follow(Leases(), [address(7200.0, 100)], LINKS, 0.0)
    known = follow(known, [address(3600.0, 500_000)], LINKS, 5000.0)
    assert known.leases["eth0", "10.0.0.56"].seconds == 3600.0


def test_a_dhcpv6_lease_that_was_not_renewed_in_its_preferred_lifetime_warns() -> None:
    """EC2 leases IPv6 addresses for 450 s, preferred for 140 s: at 45 % of the valid lifetime nobody has used it for two minutes."""
    key = ("eth0", "fd00::56")
    known = follow(Leases(), [address(450.0, 100, key[1], preferred=140.0)], LINKS, 0.0)
    assert level(known.leases[key], 139.0)[0] == Level.HEALTHY
    known = follow(known, [address(300.0, 100, key[1], age=150.0, preferred=0.0)], LINKS, 150.0)
    assert level(known.leases[key], 150.0) == (
        Level.WARNING,
        "renewal missed; address fd00::56 on eth0 is deprecated: no new connection uses it, and it is lost in 5 min",
    )


def test_an_address_that_its_client_set_as_deprecated_is_not_a_missed_renewal() -> None:
    known = follow(Leases(), [address(450.0, 100, "fd00::56", preferred=0.0)], LINKS, 0.0)
    assert level(known.leases["eth0", "fd00::56"], 100.0)[0] == Level.HEALTHY


def test_the_same_address_on_two_interfaces_is_one_subject_with_the_worse_verdict() -> None:
    leases = {
        (name, "10.0.0.56"): Lease(name, at, "10.0.0.56", ends, 3600.0) for at, (name, ends) in enumerate([("a", 3600.0), ("b", 9.0)])
    }
    for order in (leases, dict(reversed(leases.items()))):
        (verdict,) = verdicts(order, {}, 0.0)
        assert (verdict.level, verdict.evidence["interface"]) == (Level.CRITICAL, "b")


def test_the_mend_can_be_pasted_whatever_the_interface_is_called() -> None:
    (verdict,) = verdicts({("a;reboot", "10.0.0.56"): Lease("a;reboot", 2, "10.0.0.56", 9.0, 3600.0)}, {}, 0.0)
    assert verdict.mend.endswith("networkctl renew 'a;reboot', nmcli device reapply 'a;reboot', or dhclient -1 -v 'a;reboot'")


def test_an_interface_made_anew_has_lost_nothing() -> None:
    known = follow(Leases(), [address(3600.0)], LINKS, 0.0)
    assert follow(known, [], {"eth0": 9}, 1.0).leases == {}
    lost = follow(known, [], LINKS, 1.0)
    assert lost.leases["eth0", "10.0.0.56"].lost == 1.0
    assert follow(lost, [], LINKS, 90_000.0).leases == {}


def test_the_kernels_stamp_wraps_after_497_days() -> None:
    assert _age(100, 11.0) == 10.0
    assert _age(2**32 - 500, (2**32 + 500) / 100) == 10.0
    assert _age(5_000, 49.9) == 0.0  # its jiffies run a little ahead of the clock


def test_the_state_of_another_boot_is_not_this_ones() -> None:
    known = follow(Leases(), [address(3600.0)], LINKS, 0.0)
    assert restore(dump(known, "a"), "a") == known
    assert restore(dump(known, "a"), "b") == Leases()


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    "saved",
    [
        None,
        [],
        {"boot": "a"},
        {"boot": "a", "leases": [[1], "x", None, ["eth0", 2, "10.0.0.56", "soon", 3600, 0, None, None]], "renewals": {"eth0": -1}},
    ],
)
def test_a_state_of_another_making_is_forgotten(saved: Any) -> None:
    assert restore(saved, "a") == Leases()


def test_the_lease_file_and_the_kernel_may_disagree_and_the_kernel_counts() -> None:
    lease = Lease("eth0", 2, "10.0.0.56", 100.0, 3600.0)
    file = OnFile("10.0.0.56", "dhclient", 86_400, "/var/lib/dhcp/dhclient.eth0.leases")
    (verdict,) = verdicts({("eth0", "10.0.0.56"): lease}, {"10.0.0.56": file}, 0.0)
    assert verdict.level == Level.CRITICAL
    assert verdict.evidence["disagreement"] == "the lease file says 86400 s, the kernel 3600 s: the kernel removes the address"


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


def test_dhclients_own_lease_of_an_ipv6_address_is_read() -> None:
    assert parse_dhclient(LEASE6) == {"fd97::51": 150}


def test_the_table_for_people_has_the_worst_lease_first() -> None:
    rows = [
        Lease("eth0", 2, "10.0.0.1", 3000.0, 3600.0),
        Lease("eth1", 3, "10.0.0.2", 1260.0, 3600.0),
        Lease("eth2", 4, "10.0.0.3", 100.0, 3600.0, lost=90.0),
        Lease("eth3", 5, "10.0.0.4", 300.0, 3600.0),
    ]
    known = Leases({(lease.interface, lease.address): lease for lease in rows}, {"eth0": 7})
    table = panel(known, {"10.0.0.1": OnFile("10.0.0.1", "dhclient", 3600, "/x")}, 0.0)
    assert table.rows == (
        ("10.0.0.3", "eth2", "lost", "", "", "0", ""),
        ("10.0.0.4", "eth3", "renewal and rebinding missed", "5 min", "8% of 60 min", "0", ""),
        ("10.0.0.2", "eth1", "renewal missed", "21 min", "35% of 60 min", "0", ""),
        ("10.0.0.1", "eth0", "in order", "50 min", "83% of 60 min", "7", "dhclient"),
    )
    assert {len(row) for row in table.rows} == {len(table.columns)}


def test_clients_files_are_read_and_a_lease_cut_off_is_not(tmp_path: Path) -> None:
    assert parse_dhclient(DHCLIENT) == {"10.0.0.56": 3600}
    assert parse_keys("# This is private data\nADDRESS=10.0.0.56\nLIFETIME=3600\nT1=1800\n") == {"10.0.0.56": 3600}
    (tmp_path / "var/lib/dhcp").mkdir(parents=True)
    (tmp_path / "var/lib/dhcp/dhclient.eth0.leases").write_text(DHCLIENT)
    (tmp_path / "var/lib/dhcp/dhclient.eth1.leases").mkdir()
    (tmp_path / "run/systemd/netif/leases").mkdir(parents=True)
    (tmp_path / "run/systemd/netif/leases/2").write_text("ADDRESS=10.0.0.57\nLIFETIME=ever\n")
    assert {name: (file.client, file.seconds) for name, file in read_leasefiles(tmp_path).items()} == {
        "10.0.0.56": ("dhclient", 3600),
        "10.0.0.57": ("systemd-networkd", 0),
    }


@given(st.text(max_size=300))
def test_no_text_upsets_the_lease_readers(text: str) -> None:
    parse_dhclient(text)
    parse_keys(text)


@given(st.binary(max_size=200))
def test_no_bytes_upset_the_netlink_reader(block: bytes) -> None:
    for _, _, message in [*messages(block), (0, 0, block)]:
        parse_address(message, NAMES, 0.0)
        concerns(message, frozenset())
        attributes(message, 8)


def newaddr(valid: int, preferred: int, flags: int = 0, stamp: int = 100, index: int = 2) -> bytes:
    """Spell an RTM_NEWADDR as inet_fill_ifaddr (net/ipv4/devinet.c) does."""
    body = struct.pack("=BBBBi", 2, 24, flags, 0, index)
    for kind, payload in ((2, bytes([10, 0, 0, 56])), (3, b"eth0\0"), (6, struct.pack("=IIII", preferred, valid, 50, stamp))):
        padded = payload + bytes(-len(payload) % 4)
        body += struct.pack("=HH", 4 + len(payload), kind) + padded
    return struct.pack("=IHHII", 16 + len(body), 20, 0, 1, 0) + body


@pytest.mark.parametrize(
    ("valid", "preferred", "expected"),
    [(0, 0, (0.0, 0.0)), (2**32 - 1, 2**32 - 1, (None, None)), (2**32 - 2, 0, (4294967294.0, 0.0)), (3600, 2**32 - 1, (3600.0, None))],
)
def test_lifetimes_from_nothing_to_for_ever_are_read(valid: int, preferred: int, expected: tuple[float | None, float | None]) -> None:
    read = parse_address(newaddr(valid, preferred), NAMES, 11.0)
    assert read is not None
    assert (read.valid, read.preferred, read.age, read.address) == (*expected, 10.0, "10.0.0.56")


def test_an_address_in_its_last_second_is_lost_in_0_s() -> None:
    read = parse_address(newaddr(0, 0), NAMES, 3601.0)
    assert read is not None
    known = follow(Leases(), [read], LINKS, 3601.0)
    assert level(known.leases["eth0", "10.0.0.56"], 3601.0) == (
        Level.CRITICAL,
        "renewal and rebinding missed; address 10.0.0.56 on eth0 is lost in 0 s",
    )


def test_events_of_static_addresses_matter_only_where_a_lease_is() -> None:
    permanent, dynamic = newaddr(2**32 - 1, 2**32 - 1, flags=0x80), newaddr(3600, 3600)
    assert concerns(dynamic, frozenset())
    assert not concerns(permanent, frozenset({3}))
    assert concerns(permanent, frozenset({2}))  # the lease may have become static


def test_a_recorded_host_has_no_countdown(tmp_path: Path) -> None:
    (tmp_path / "ethtool").mkdir()
    with pytest.raises(Unavailable):
        DhcpCollector(DhcpSettings(), Host(root=tmp_path)).read()
