"""Policies, over recorded hosts."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from collectors.model import Level
from collectors.nic.settings import NicSettings
from collectors.settings import decode_hook
from tests.collectors.nic.recorded_hosts import HOSTS, nic_settings, verdicts
from tests.kit.slots import Kept

if TYPE_CHECKING:
    from pathlib import Path


def test_a_policy_for_sg_takes_precedence() -> None:
    assert verdicts("xen-new", {"policy": [{"driver": "vif", "offloads": {"sg": False}}]})["nic_offload"].level == Level.HEALTHY


def test_falling_back_to_xen_netfront_is_critical_until_it_is_fixed(tmp_path: Path) -> None:
    slot, host = Kept(), tmp_path / "host"
    shutil.copytree(HOSTS / "ixgbevf", host, symlinks=True)
    assert verdicts(host, slot=slot)["nic_driver"].level == Level.HEALTHY
    shutil.rmtree(host)
    shutil.copytree(HOSTS / "xen-new", host, symlinks=True)
    for _ in range(2):
        found = verdicts(host, slot=slot)["nic_driver"]
        assert found.level == Level.CRITICAL
        assert "fell back from ixgbevf to vif, without enhanced networking, since 20" in found.message


@pytest.mark.parametrize(
    ("version", "level", "text"),
    [
        ("2.17.0g", Level.WARNING, "known to be bad: NULL dereference"),
        ("2.11.1g", Level.WARNING, "known to be bad"),
        ("1.1.2", Level.CRITICAL, "older than 1.2"),
        ("2.1.0K", Level.WARNING, "older than 2.2.9"),
        ("2.2.10g", Level.HEALTHY, ""),
        ("", Level.HEALTHY, ""),
        ("5.10.236-228.935.amzn2.x86_64", Level.HEALTHY, ""),
    ],
)
def test_ena_versions(tmp_path: Path, version: str, level: Level, text: str) -> None:
    host = tmp_path / "host"
    shutil.copytree(HOSTS / "ena-github", host, symlinks=True)
    driver = host / "ethtool/ens5/i"
    driver.write_text(driver.read_text().replace("2.13.0g", version))
    if version in {"2.1.0K", "1.1.2"}:  # those do not have the later counters
        (host / "ethtool/ens5/S").write_text("NIC statistics:\n     tx_timeout: 0\n")
    found = verdicts(host)["nic_driver"]
    assert found.level == level
    assert text in found.message


def test_a_missing_required_driver_and_mtu() -> None:
    found = verdicts("xen-new", {"policy": [{"interface": "eth0", "driver": "ena", "mtu": 9001}, {"interface": "*", "mtu": 1500}]})
    assert found["nic_driver"].level == Level.CRITICAL
    assert found["nic_driver"].message.startswith("driver is vif, should be ena")
    assert found["nic_mtu"].level == Level.WARNING
    assert found["nic_mtu"].remediation == "ip link set eth0 mtu 9001"


def test_xen_netfronts_two_names_are_the_same_driver() -> None:
    assert verdicts("xen-new", {"policy": [{"interface": "eth0", "driver": "xen_netfront"}]})["nic_driver"].level == Level.HEALTHY


def test_the_first_policy_that_matches_wins() -> None:
    policy = [{"interface": "ens*", "mtu": 9001}, {"interface": "*", "mtu": 1500}]
    assert verdicts("ena-github", {"policy": policy})["nic_mtu"].level == Level.HEALTHY
    assert verdicts("ena-github", {"policy": policy[::-1]})["nic_mtu"].level == Level.WARNING


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("policy", "error"),
    [
        ({"mtu": 1500}, "interface or driver"),
        ({"interface": ""}, "interface: must not be empty"),
        ({"interface": "*", "offloads": {"scatter-gather": True}}, "is not one of rx tx sg"),
        ({"interface": "*", "min_version": "new"}, "is not a version"),
        ({"interface": "*", "min_version": "2.2.9 or so"}, "is not a version"),
        ({"interface": "*", "mtu": 12}, "must be between 68 and 65536"),
        ({"interface": "*", "mtus": 1500}, "unknown field `mtus`"),
        ({"interface": "*", "offloads": {"sg": "on"}}, "Expected `bool`"),
    ],
)
def test_an_invalid_policy_is_refused_with_its_key(policy: dict[str, Any], error: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="policy") as refused:
        msgspec.convert({"policy": [policy]}, NicSettings, dec_hook=decode_hook)
    assert error in str(refused.value)


def test_an_interval_that_would_leave_one_sample_in_each_minute_is_refused() -> None:
    assert nic_settings({"interval": "30s"}).interval == 30.0
    with pytest.raises(msgspec.ValidationError, match="interval: must be at most 30s"):
        nic_settings({"interval": "31s"})
