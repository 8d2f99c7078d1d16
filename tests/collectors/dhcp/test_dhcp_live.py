"""Countdown by a real kernel, in a network namespace."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.nic_lab import ALL, REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.nic_lab import Namespace


pytestmark = [pytest.mark.root, pytest.mark.needs("ip")]
LIFE = "valid_lft 900 preferred_lft 900"


def set_address(lab: Namespace, valid: int | str, preferred: int | str | None = None, *, verb: str = "replace") -> None:
    lab.run(f"ip addr {verb} 10.97.0.56/24 dev one valid_lft {valid} preferred_lft {valid if preferred is None else preferred}")


def test_a_static_address_has_no_verdict_and_no_metric(lab: Namespace) -> None:
    lab.run("ip addr add 10.97.0.1/24 dev one")
    set_address(lab, 2**32 - 1)
    seen = lab.collector("dhcp", ALL).run_once()
    assert seen.verdicts == {}
    assert seen.metrics == {}


def test_the_kernels_time_stamp_gives_the_whole_lease_at_the_first_scan(lab: Namespace) -> None:
    set_address(lab, 3600)
    time.sleep(1.2)
    seen = lab.collector("dhcp", ALL).run_once()
    assert 3500 < seen.metrics["dhcp_lease_remaining_seconds", "one", "10.97.0.56"] < 3600
    assert 3598 < seen.metrics["dhcp_lease_duration_seconds", "one", "10.97.0.56"] < 3602
    assert seen.metrics["dhcp_renewals", "one"] == 0
    assert seen.level("dhcp_lease", "10.97.0.56") == 0


def test_a_missed_renewal_warns_then_is_critical_and_clears_at_a_renewal(lab: Namespace) -> None:
    collector = lab.collector("dhcp", ALL)
    set_address(lab, 3600)
    collector.until(lambda result: result.level("dhcp_lease", "10.97.0.56") == 0)
    set_address(lab, 1500)  # as if the time had passed: a shorter lifetime is the same lease's
    seen = collector.until(lambda result: result.level("dhcp_lease", "10.97.0.56") == 1)
    assert seen.message("dhcp_lease", "10.97.0.56") == "renewal missed; address 10.97.0.56 on one is lost in 25 min"
    assert seen.metrics["dhcp_lease_duration_seconds", "one", "10.97.0.56"] > 3590
    set_address(lab, 400)
    seen = collector.until(lambda result: result.level("dhcp_lease", "10.97.0.56") == 2)
    assert seen.message("dhcp_lease", "10.97.0.56").startswith("renewal and rebinding missed; address 10.97.0.56 on one is lost in 7 min")
    set_address(lab, 3600)
    seen = collector.until(lambda result: result.level("dhcp_lease", "10.97.0.56") == 0)
    assert seen.metrics["dhcp_renewals", "one"] == 1


def test_an_address_that_vanishes_is_critical_at_the_next_tick(lab: Namespace) -> None:
    lab.run("ip addr add 10.97.0.1/24 dev one")  # another, static one does not replace it
    set_address(lab, 3600)
    collector = lab.collector("dhcp", ALL)
    collector.run_once()
    lab.run("ip addr del 10.97.0.56/24 dev one")
    seen = collector.run_once()
    assert seen.level("dhcp_lease", "10.97.0.56") == 2
    assert "vanished from one" in seen.message("dhcp_lease", "10.97.0.56")
    assert seen.metrics["dhcp_lease_remaining_seconds", "one", "10.97.0.56"] == 0
    set_address(lab, 3600)
    assert collector.run_once().level("dhcp_lease", "10.97.0.56") == 0


def test_an_address_lost_while_vitald_was_stopped_is_reported(lab: Namespace, tmp_path: Path) -> None:
    set_address(lab, 3600)
    lab.collector("dhcp", ALL, tmp_path / "slot").run_once()
    lab.run("ip addr del 10.97.0.56/24 dev one")
    assert lab.collector("dhcp", ALL, tmp_path / "slot").run_once().level("dhcp_lease", "10.97.0.56") == 2


def test_another_lease_on_the_interface_takes_its_place(lab: Namespace) -> None:
    set_address(lab, 3600)
    collector = lab.collector("dhcp", ALL)
    collector.run_once()
    lab.run("ip addr add 10.98.0.57/24 dev one valid_lft 3600 preferred_lft 3600")
    lab.run("ip addr del 10.97.0.56/24 dev one")
    seen = collector.run_once()
    assert set(seen.verdicts) == {("dhcp_lease", "10.98.0.57")}


def test_a_lease_that_becomes_static_or_whose_interface_is_removed_is_dropped(lab: Namespace) -> None:
    set_address(lab, 3600)
    collector = lab.collector("dhcp", ALL)
    collector.run_once()
    set_address(lab, "forever")
    assert collector.run_once().verdicts == {}
    set_address(lab, 3600)
    assert collector.run_once(full_scan=True).level("dhcp_lease", "10.97.0.56") == 0
    lab.run("ip link del one")
    assert collector.run_once(full_scan=True).verdicts == {}


@pytest.mark.fault(33)
def test_an_interface_that_is_renamed_has_no_lost_lease(lab: Namespace) -> None:
    set_address(lab, 3600)
    collector = lab.collector("dhcp", ALL)
    collector.run_once()
    lab.run("ip link set one name renamed")
    seen = collector.run_once(full_scan=True)
    assert {subject: found[0] for (_, subject), found in seen.verdicts.items()} == {"10.97.0.56": 0}
    assert ("dhcp_lease_duration_seconds", "renamed", "10.97.0.56") in seen.metrics


def test_a_deprecated_address_counts_down_like_any_other(lab: Namespace) -> None:
    set_address(lab, 3600, 0)
    assert lab.collector("dhcp", ALL).run_once().level("dhcp_lease", "10.97.0.56") == 0


def test_an_address_expires_and_the_kernel_removes_it(lab: Namespace) -> None:
    set_address(lab, 3600)
    collector = lab.collector("dhcp", ALL)
    collector.run_once()
    set_address(lab, 2)
    seen = collector.until(lambda result: "vanished" in result.message("dhcp_lease", "10.97.0.56"), 30)
    assert seen.level("dhcp_lease", "10.97.0.56") == 2


def test_ipv6_counts_addresses_of_dhcpv6_and_not_of_routers(lab: Namespace) -> None:
    lab.run("ip addr add fd00:97::56/128 dev one valid_lft 3600 preferred_lft 1800 nodad")
    lab.run("ip addr add fd00:97::57/64 dev one valid_lft 3600 preferred_lft 1800 nodad")
    seen = lab.collector("dhcp", ALL).run_once()
    assert set(seen.verdicts) == {("dhcp_lease", "fd00:97::56")}


@pytest.mark.fault(34)
def test_a_flood_of_address_events_ends_in_a_full_scan(lab: Namespace) -> None:
    collector = lab.collector("dhcp", ALL)
    collector.run_once()
    each = [f"10.97.{n // 250}.{n % 250 + 1}/32 dev two {LIFE}" for n in range(2500)]
    batch = "\n".join(f"addr {verb} {address}" for address in each for verb in ("add", "del"))
    lab.start("ip", "-batch", "-", stdin=subprocess.PIPE).communicate(f"{batch}\naddr add 10.97.0.56/24 dev one {LIFE}\n")
    assert collector.run_once().level("dhcp_lease", "10.97.0.56") == 0


DUMPS = """
import socket, sys, time
from collectors.dhcp.addresses import read_addresses
from collectors.netlink.message import DumpInterrupted
from collectors.netlink.rtnetlink import dump_addresses
names = {index: name for index, name in socket.if_nameindex()}
interrupted, failed, wrong, end = 0, 0, 0, time.monotonic() + 60
while not interrupted and time.monotonic() < end:
    try:
        dump_addresses()
    except DumpInterrupted:
        interrupted += 1
for _ in range(20):
    try:
        wrong += sum(found.interface == "two" for found in read_addresses(names, time.monotonic())) != 1500
    except DumpInterrupted:
        failed += 1
print(interrupted, failed, wrong)
"""


@pytest.mark.fault(34)
def test_a_table_that_changes_during_a_dump_is_dumped_again_and_never_used_in_part(lab: Namespace) -> None:
    batch = "\n".join(f"addr add 10.97.{n // 250}.{n % 250 + 1}/32 dev two {LIFE}" for n in range(1500))
    lab.start("ip", "-batch", "-", stdin=subprocess.PIPE).communicate(batch + "\n")
    # With pauses, so that some dumps are interrupted and others are not, however slow the machine is.
    change = "ip addr add 10.98.0.1/32 dev one; sleep 0.1; ip addr del 10.98.0.1/32 dev one; sleep 0.1"
    lab.start("sh", "-c", f"while :; do {change}; done")
    interrupted, failed, wrong = map(
        int, lab.start(sys.executable, "-c", DUMPS, stdout=subprocess.PIPE, cwd=REPOSITORY).communicate()[0].split()
    )
    assert interrupted == 1, "no dump was interrupted: nothing is shown"
    assert (failed, wrong) == (0, 0)


@pytest.mark.fault(14)
def test_the_number_of_leases_is_bounded(lab: Namespace) -> None:
    batch = "\n".join(f"addr add 10.97.{n // 250}.{n % 250 + 1}/32 dev two {LIFE}" for n in range(2000))
    lab.start("ip", "-batch", "-", stdin=subprocess.PIPE).communicate(batch + "\n")
    assert len(lab.collector("dhcp", ALL).run_once().verdicts) == 256
