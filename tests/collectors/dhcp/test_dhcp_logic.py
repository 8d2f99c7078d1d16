"""Pure parts: lease tracking, verdicts and the panel."""

from __future__ import annotations

from typing import Any

import pytest

from collectors.dhcp.addresses import _age
from collectors.dhcp.collector import DhcpReading, leases_panel
from collectors.dhcp.judge import judge_leases
from collectors.dhcp.lease_files import LeaseRecord
from collectors.dhcp.leases import Lease, Leases, SavedLeases, dump, restore, update_leases
from collectors.model import Level
from tests.collectors.dhcp.known import LINKS, address, level
from tests.kit.slots import Kept


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
    known = update_leases(Leases(), [address(3600.0, 100)], LINKS, 0.0)
    known = update_leases(known, [address(1800.0, 100, age=1800.0)], LINKS, 1800.0)
    assert known.renewals == {"eth0": 0}
    known = update_leases(known, [address(3600.0, 180_200)], LINKS, 1802.0)
    assert known.renewals == {"eth0": 1}
    assert known.leases["eth0", "10.0.0.56"].seconds == 3600.0


def test_a_clock_that_runs_apart_from_the_kernels_ticks_is_no_renewal() -> None:
    """CLOCK_MONOTONIC is slewed by NTP, jiffies are not: over a day of one lease they drift apart by seconds."""
    known = update_leases(Leases(), [address(86_400.0, 100)], LINKS, 0.0)
    known = update_leases(known, [address(43_205.0, 100, age=43_195.0)], LINKS, 43_200.0)
    assert known.renewals == {"eth0": 0}
    lease = known.leases["eth0", "10.0.0.56"]
    assert (lease.ends, lease.seconds) == (86_405.0, 86_400.0)


def test_two_changes_within_one_tick_of_the_kernel_are_a_renewal() -> None:
    known = update_leases(Leases(), [address(400.0, 100)], LINKS, 0.0)
    assert update_leases(known, [address(3600.0, 100)], LINKS, 0.01).renewals == {"eth0": 1}


def test_a_client_that_sets_the_rest_of_its_lease_does_not_shorten_it() -> None:
    known = update_leases(Leases(), [address(3600.0, 100)], LINKS, 0.0)
    known = update_leases(known, [address(1500.0, 210_000)], LINKS, 2100.0)
    assert known.leases["eth0", "10.0.0.56"].seconds == 3600.0
    assert known.renewals == {"eth0": 0}


def test_a_shorter_lease_at_a_renewal_is_the_lease() -> None:
    known = update_leases(Leases(), [address(7200.0, 100)], LINKS, 0.0)
    known = update_leases(known, [address(3600.0, 500_000)], LINKS, 5000.0)
    assert known.leases["eth0", "10.0.0.56"].seconds == 3600.0


def test_a_dhcpv6_lease_that_was_not_renewed_in_its_preferred_lifetime_warns() -> None:
    """EC2 leases IPv6 addresses for 450 s, preferred for 140 s: at 45 % of the valid lifetime it has been unused for two minutes."""
    key = ("eth0", "fd00::56")
    known = update_leases(Leases(), [address(450.0, 100, key[1], preferred=140.0)], LINKS, 0.0)
    assert level(known.leases[key], 139.0)[0] == Level.HEALTHY
    known = update_leases(known, [address(300.0, 100, key[1], age=150.0, preferred=0.0)], LINKS, 150.0)
    assert level(known.leases[key], 150.0) == (
        Level.WARNING,
        "renewal missed; address fd00::56 on eth0 is deprecated: no new connection uses it, and it is lost in 5 min",
    )


def test_an_address_that_its_client_set_as_deprecated_is_not_a_missed_renewal() -> None:
    known = update_leases(Leases(), [address(450.0, 100, "fd00::56", preferred=0.0)], LINKS, 0.0)
    assert level(known.leases["eth0", "fd00::56"], 100.0)[0] == Level.HEALTHY


def test_the_same_address_on_two_interfaces_is_one_subject_with_the_worse_verdict() -> None:
    leases = {
        (name, "10.0.0.56"): Lease(name, at, "10.0.0.56", ends, 3600.0) for at, (name, ends) in enumerate([("a", 3600.0), ("b", 9.0)])
    }
    for order in (leases, dict(reversed(leases.items()))):
        (verdict,) = judge_leases(order, {}, 0.0)
        assert (verdict.level, verdict.evidence["interface"]) == (Level.CRITICAL, "b")


def test_the_remediation_can_be_pasted_with_any_interface_name() -> None:
    (verdict,) = judge_leases({("a;reboot", "10.0.0.56"): Lease("a;reboot", 2, "10.0.0.56", 9.0, 3600.0)}, {}, 0.0)
    assert verdict.remediation.endswith("networkctl renew 'a;reboot', nmcli device reapply 'a;reboot', or dhclient -1 -v 'a;reboot'")


def test_an_interface_that_was_created_again_has_no_lost_lease() -> None:
    known = update_leases(Leases(), [address(3600.0)], LINKS, 0.0)
    assert update_leases(known, [], {"eth0": 9}, 1.0).leases == {}
    lost = update_leases(known, [], LINKS, 1.0)
    assert lost.leases["eth0", "10.0.0.56"].lost == 1.0
    assert update_leases(lost, [], LINKS, 90_000.0).leases == {}


def test_the_kernels_stamp_wraps_after_497_days() -> None:
    assert _age(100, 11.0) == 10.0
    assert _age(2**32 - 500, (2**32 + 500) / 100) == 10.0
    assert _age(5_000, 49.9) == 0.0  # its jiffies run a little ahead of the clock


def test_the_state_of_another_boot_is_discarded() -> None:
    known = update_leases(Leases(), [address(3600.0)], LINKS, 0.0)
    assert restore(dump(known, "a"), "a", 0.0) == (known, 0)
    assert restore(dump(known, "a"), "b", 0.0) == (Leases(), 0)


@pytest.mark.fault(155)
def test_an_address_that_was_lost_in_the_future_is_dropped() -> None:
    known = update_leases(update_leases(Leases(), [address(3600.0)], LINKS, 0.0), [], LINKS, 50.0)
    assert restore(dump(known, "a"), "a", 50.0) == (known, 0)
    assert restore(dump(known, "a"), "a", 49.0) == (Leases({}, known.renewals), 1)


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
def test_an_invalid_state_is_discarded(saved: Any) -> None:
    assert restore(Kept.of(saved).load(SavedLeases), "a", 0.0) == (Leases(), 0)


def test_the_panel_has_the_worst_lease_first() -> None:
    rows = [
        Lease("eth0", 2, "10.0.0.1", 3000.0, 3600.0),
        Lease("eth1", 3, "10.0.0.2", 1260.0, 3600.0),
        Lease("eth2", 4, "10.0.0.3", 100.0, 3600.0, lost=90.0),
        Lease("eth3", 5, "10.0.0.4", 300.0, 3600.0),
    ]
    known = Leases({(lease.interface, lease.address): lease for lease in rows}, {"eth0": 7})
    table = leases_panel(DhcpReading(0.0, known, {"10.0.0.1": LeaseRecord("10.0.0.1", "dhclient", 3600, "/x")}))
    assert table.rows == (
        ("10.0.0.3", "eth2", "lost", "", "", "0", ""),
        ("10.0.0.4", "eth3", "renewal and rebinding missed", "5 min", "8% of 60 min", "0", ""),
        ("10.0.0.2", "eth1", "renewal missed", "21 min", "35% of 60 min", "0", ""),
        ("10.0.0.1", "eth0", "ok", "50 min", "83% of 60 min", "7", "dhclient"),
    )
    assert {len(row) for row in table.rows} == {len(table.columns)}
