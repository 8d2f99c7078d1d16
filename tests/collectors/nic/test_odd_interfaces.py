"""Interfaces with unusual names and in unusual numbers."""

from __future__ import annotations

import subprocess

import pytest

from collectors.cardinality import Caps
from collectors.model import Metric
from collectors.nic import metrics as families
from tests.kit.nic_lab import ALL, ENVIRONMENT, Namespace

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "ethtool")]


@pytest.mark.fault(33)
@pytest.mark.fault(14)
def test_a_thousand_veths_are_read_and_series_stay_at_their_cap(lab: Namespace) -> None:
    batch = "\n".join(f"link add v{n} type veth peer name w{n}" for n in range(600)) + "\n"
    lab.start("ip", "-batch", "-", stdin=-1).communicate(batch)
    collector = lab.collector("nic", ALL)
    collector.run_once()
    result = collector.run_once(full_scan=True)
    assert result.metrics["nic_interfaces_skipped",] == 200
    assert len([1 for key in result.metrics if key[0] == "nic_mtu_bytes"]) == 1000
    folded = Caps().fold([Metric(families.MTU, 1500, (key[1],)) for key in result.metrics if key[0] == "nic_mtu_bytes"])
    assert len({metric.labels for metric in folded}) <= families.MAX_LABEL_VALUES + 1
    ignoring = lab.collector("nic", {})
    assert not [1 for key in ignoring.run_once().metrics if key[0] == "nic_mtu_bytes" and key[1].startswith("veth")]


@pytest.mark.fault(6)
@pytest.mark.parametrize("name", ["naïve", 'q"uote', "tab\tbed", "back\\slash", "new\nline"])
def test_an_interface_with_unusual_characters_in_its_name_is_read(lab: Namespace, name: str) -> None:
    added = subprocess.run(
        ["ip", "netns", "exec", lab.name, "ip", "link", "add", name, "type", "dummy"], env=ENVIRONMENT, check=False, capture_output=True
    )
    if added.returncode != 0:
        added = subprocess.run(
            ["ip", "netns", "exec", lab.name, "ip", "link", "add", name, "type", "veth"], env=ENVIRONMENT, check=False, capture_output=True
        )
    if added.returncode != 0:
        assert not name.isprintable(), added.stderr  # the kernel refuses white space in names (net/core/dev.c, dev_valid_name)
        return
    assert collector_names(lab) >= {name}


@pytest.mark.fault(6)
def test_an_interface_whose_name_is_no_utf8_is_read(lab: Namespace) -> None:
    raw = b"bad\xff\xed\xb0\x80"  # not \xa0, which is a space to the kernel
    subprocess.run(["ip", "netns", "exec", lab.name.encode(), "ip", "link", "add", raw, "type", "veth"], env=ENVIRONMENT, check=True)
    assert collector_names(lab) >= {raw.decode("utf-8", "surrogateescape")}


def collector_names(lab: Namespace) -> set[str]:
    return {str(key[1]) for key in lab.collector("nic", ALL).run_once(full_scan=True).metrics if key[0] == "nic_mtu_bytes"}


@pytest.mark.fault(6)
def test_a_name_with_shell_syntax_is_quoted_in_the_remediation(lab: Namespace) -> None:
    name = "a;reboot$(id)"
    subprocess.run(["ip", "netns", "exec", lab.name, "ip", "link", "add", name, "type", "veth"], env=ENVIRONMENT, check=True)
    collector = lab.collector("nic", {**ALL, "policy": [{"interface": "a*", "mtu": 9000, "offloads": {"sg": False}}]})
    result = collector.run_once()
    assert result.remediation("nic_mtu", name) == "ip link set 'a;reboot$(id)' mtu 9000"
    assert result.remediation("nic_offload", name) == "ethtool -K 'a;reboot$(id)' sg off"
