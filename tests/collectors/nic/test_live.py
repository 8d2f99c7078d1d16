"""NIC collector in network namespaces, with real interfaces."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.kit.nic_lab import ALL, Namespace

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "ethtool")]


@pytest.mark.parametrize("policy", [{"interface": "one", "offloads": {"sg": True, "tso": True}}])
def test_an_offload_that_is_switched_off_is_reported_with_its_remediation_and_clears(lab: Namespace, policy: dict[str, object]) -> None:
    lab.run("ip link add one type veth peer name two")
    collector = lab.collector("nic", {**ALL, "policy": [policy]})
    assert collector.run_once().level("nic_offload", "one") == 0
    lab.run("ethtool -K one sg off")
    result = collector.until(lambda result: result.level("nic_offload", "one") == 1)
    assert "sg is off, should be on" in result.message("nic_offload", "one")
    assert "tso is requested on but actually off" in result.message("nic_offload", "one")
    assert result.remediation("nic_offload", "one") == "ethtool -K one sg on tso on"
    assert result.metrics["nic_feature_enabled", "one", "sg"] == 0
    lab.run(result.remediation("nic_offload", "one"))
    collector.until(lambda result: result.level("nic_offload", "one") == 0)


def test_another_driver_under_the_same_name_is_critical(lab: Namespace) -> None:
    lab.run("ip link add data0 type veth peer name two")
    collector = lab.collector("nic", {**ALL, "policy": [{"interface": "data*", "driver": "veth", "mtu": 1500}]})
    assert collector.run_once().level("nic_driver", "data0") == 0
    lab.run("ip link del data0")
    lab.run("ip link add two type dummy", check=False)
    lab.run("ip tuntap add data0 mode tap")
    result = collector.until(lambda result: result.level("nic_driver", "data0") == 2)
    assert "driver is tun, should be veth" in result.message("nic_driver", "data0")
    lab.run("ip link del data0")
    lab.run("ip link add base type veth peer name other")
    lab.run("ip link add link base name data0 type macvlan")
    result = collector.until(
        lambda result: "macvlan" in result.message("nic_driver", "data0") if ("nic_driver", "data0") in result.verdicts else False
    )
    assert result.level("nic_driver", "data0") == 2
    assert ("nic_driver", "two") not in result.verdicts


def test_without_a_policy_a_change_of_driver_is_reported_for_a_while(lab: Namespace, tmp_path: Path) -> None:
    lab.run("ip link add data0 type veth peer name two")
    slot = tmp_path / "slot"
    lab.collector("nic", ALL, slot).run_once()
    lab.run("ip link del data0")
    lab.run("ip tuntap add data0 mode tap")
    result = lab.collector("nic", ALL, slot).run_once()  # another process: the state file has the driver before
    assert result.level("nic_driver", "data0") == 1
    assert re.search(r"driver was veth, is tun, since 20\d\d-", result.message("nic_driver", "data0"))


def test_a_wrong_mtu_and_a_reduced_one_are_warnings(lab: Namespace) -> None:
    lab.run("ip link add one mtu 9000 type veth peer name two mtu 9000")
    collector = lab.collector("nic", {**ALL, "policy": [{"interface": "two", "mtu": 9000}]})
    assert collector.run_once().level("nic_mtu", "one") == 0
    lab.run("ip link set one mtu 1500")
    lab.run("ip link set two mtu 1500")
    result = collector.until(lambda result: result.level("nic_mtu", "two") == 1)
    assert "MTU is 1500, should be 9000" in result.message("nic_mtu", "two")
    assert result.remediation("nic_mtu", "two") == "ip link set two mtu 9000"
    assert "MTU fell from 9000 to 1500" in result.message("nic_mtu", "one")


def test_a_flap_between_two_scans_is_counted_and_shown_at_once(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    lab.run("ip link set one up")
    lab.run("ip link set two up")
    collector = lab.collector("nic", ALL)
    before = collector.run_once().metrics["nic_carrier_changes", "one"]
    lab.run("ip link set two down")
    lab.run("ip link set two up")
    began = time.monotonic()
    result = collector.until(lambda result: result.metrics["nic_carrier_changes", "one"] >= before + 2)
    assert result.level("nic_link", "one") == 1
    assert "carrier changed 2 times" in result.message("nic_link", "one")
    assert time.monotonic() - began < 10  # the interval is the runner's; no full scan was due


def test_a_lost_carrier_is_critical_in_the_next_run_and_clears(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    lab.run("ip link set one up")
    lab.run("ip link set two up")
    collector = lab.collector("nic", ALL)
    assert collector.run_once().level("nic_link", "one") == 0
    lab.run("ip link set two down")
    assert collector.run_once().level("nic_link", "one") == 2
    lab.run("ip link set two up")
    assert collector.run_once().level("nic_link", "one") != 2


def test_an_interface_that_is_switched_off_is_no_fault(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    assert lab.collector("nic", ALL).run_once().level("nic_link", "one") == 0


@pytest.mark.fault(33)
def test_interfaces_that_vanish_and_are_renamed_meanwhile_are_no_failure(lab: Namespace) -> None:
    collector = lab.collector("nic", ALL)
    churn = "while :; do ip link add aa type veth peer name bb; ip link set aa name cc; ip link set cc up; ip link del cc; done"
    lab.start("sh", "-c", churn)
    for at in range(30):
        result = collector.run_once(full_scan=at % 2 == 0)
        assert all(value >= 0 for value in result.metrics.values())


@pytest.mark.fault(34)
def test_a_flood_of_link_events_causes_a_full_scan(lab: Namespace) -> None:
    lab.run("ip link add one type veth peer name two")
    collector = lab.collector("nic", ALL)
    collector.run_once()
    batch = "\n".join(f"link set one mtu {1500 + n % 2}" for n in range(6000)) + "\nlink add late type veth peer name later\n"
    path = Path(f"/tmp/{lab.name}.batch")
    path.write_text(batch)
    try:
        lab.run(f"ip -batch {path}")
    finally:
        path.unlink()
    assert ("nic_link", "late") in collector.run_once().verdicts
