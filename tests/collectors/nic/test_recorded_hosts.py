"""NIC collector over recorded hosts."""

from __future__ import annotations

import copy
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from collectors.cardinality import Dropped
from collectors.model import CollectorContext, Level, Report, Unavailable
from collectors.nic.collector import NicCollector
from collectors.nic.settings import NicSettings
from exporters.prometheus.exposition.exposition import Exposition
from exporters.prometheus.exposition.negotiation import negotiate_format
from tests.collectors.nic.recorded_hosts import HOSTS, new_collector, nic_settings, verdicts
from tests.kit.slots import Kept

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.panel import Panel
SETTINGS = nic_settings()


def metrics(host: str) -> dict[tuple[str, ...], Any]:
    collector = new_collector(host)
    try:
        return {(metric.family.name, *metric.labels): metric.value for metric in collector.measure(collector.read(), SETTINGS)}
    finally:
        collector.close()


def test_a_current_ena_is_healthy_throughout() -> None:
    found = verdicts("ena-github")
    assert {check: verdict.level for check, verdict in found.items()} == dict.fromkeys(found, Level.HEALTHY)
    assert set(found) == {"nic_driver", "nic_offload", "nic_mtu", "nic_link", "nic_allowance", "nic_stall"}
    assert found["nic_driver"].evidence["version_origin"] == "github"


def test_ena_statistics_become_the_few_typed_metrics() -> None:
    found = metrics("ena-github")
    assert found["nic_allowance_exceeded", "ens5", "bw_in"] == 11072
    assert found["nic_allowance_exceeded", "ens5", "conntrack"] == 0
    assert found["nic_conntrack_allowance_available", "ens5"] == 51286
    assert found["nic_resets", "ens5", "keep_alive"] == 0
    assert found["nic_driver", "ens5", "ena", "2.13.0g", "", "0000:00:05.0"] == 1
    assert found["nic_feature_enabled", "ens5", "sg"] == 1
    assert not [key for key in found if any("queue_0" in part for part in key)]


def test_two_runs_a_second_apart_show_that_the_instance_is_shaped(tmp_path: Path) -> None:
    host = tmp_path / "host"
    shutil.copytree(HOSTS / "ena-github", host, symlinks=True)
    collector = new_collector(host)
    try:
        first = {verdict.check: verdict.level for verdict in collector.judge([collector.read()], SETTINGS)}
        counted = host / "ethtool/ens5/S"
        counted.write_text(counted.read_text().replace("bw_in_allowance_exceeded: 11072", "bw_in_allowance_exceeded: 11572"))
        time.sleep(1)  # what `vitald check` waits between its two runs
        second = {verdict.check: verdict for verdict in collector.judge([collector.read()], SETTINGS)}
    finally:
        collector.close()
    assert first["nic_allowance"] == Level.HEALTHY
    assert second["nic_allowance"].level == Level.WARNING
    assert "inbound bandwidth exceeded by 500 packets" in second["nic_allowance"].message


def test_a_run_between_two_scans_returns_the_same_reading_and_a_later_one_leaves_it_unchanged(tmp_path: Path) -> None:
    host = tmp_path / "host"
    shutil.copytree(HOSTS / "ena-github", host, symlinks=True)
    collector = new_collector(host)
    try:
        first = collector.read()
        assert collector.read() is first
        before = copy.deepcopy(first)
        (host / "sys/class/net/ens5/mtu").write_text("1500\n")
        collector.request_full_scan()
        second = collector.read()
    finally:
        collector.close()
    assert first == before
    assert (first.nics[0].link.mtu, second.nics[0].link.mtu) == (9001, 1500)


def test_ixgbevf_counts_its_tx_timeouts_under_the_same_reason() -> None:
    assert metrics("ixgbevf")["nic_resets", "eth0", "tx_timeout"] == 3


def test_a_kernels_release_is_never_compared_as_a_drivers_version() -> None:
    found = verdicts("ena-in-tree", {"policy": [{"driver": "ena", "min_version": "2.2.9"}]})["nic_driver"]
    assert found.level == Level.HEALTHY  # its counters prove 2.2.10
    assert found.evidence["version_origin"] == "kernel"
    found = verdicts("ena-in-tree", {"policy": [{"driver": "ena", "min_version": "2.8.1"}]})["nic_driver"]
    assert found.level == Level.WARNING  # 6.8.0 > 2.8.1 means nothing, and no counter proves it
    assert "no counter proves it" in found.message


def test_a_feature_that_is_fixed_off_is_no_drift() -> None:
    found = verdicts("ena-in-tree", {"policy": [{"interface": "ens*", "offloads": {"tso": True}}]})["nic_offload"]
    assert found.level == Level.HEALTHY
    assert found.evidence["tso"] == "off [fixed]"


def test_an_old_ena_with_the_xen_workaround_left_on() -> None:
    found = verdicts("ena-old")
    assert found["nic_driver"].level == Level.WARNING
    assert "1.5.0g is older than 2.2.9" in found["nic_driver"].message
    assert any(line.startswith("2.9.0") for line in found["nic_driver"].evidence["advice"])
    assert found["nic_offload"].level == Level.WARNING
    assert "only costs throughput" in found["nic_offload"].message
    assert "gso is requested on but actually off" in found["nic_offload"].message
    assert found["nic_offload"].remediation == "ethtool -K eth0 sg on gso on"
    assert found["nic_allowance"].level == Level.WARNING
    assert "does not count bw_in, bw_out, pps" in found["nic_allowance"].message


@pytest.mark.parametrize(
    ("sg", "mtu", "level", "text", "remediation"),
    [
        ("on", 1500, Level.WARNING, "sg is on under kernel 3.13.0-24-generic", "sg off with MTU 9001"),
        ("off", 1500, Level.WARNING, "sg is off with MTU 1500", "mtu 9001"),
        ("off", 9001, Level.HEALTHY, "", ""),
    ],
)
def test_xens_two_faults_on_an_old_kernel_are_stated_together(
    tmp_path: Path, sg: str, mtu: int, level: Level, text: str, remediation: str
) -> None:
    host = tmp_path / "host"
    shutil.copytree(HOSTS / "xen-old", host, symlinks=True)
    (host / "sys/class/net/eth0/mtu").write_text(f"{mtu}\n")
    features = host / "ethtool/eth0/k"
    features.write_text(features.read_text().replace("tx-scatter-gather: on", f"tx-scatter-gather: {sg}"))
    found = verdicts(host)["nic_offload"]
    assert found.level == level
    assert text in found.message
    assert found.remediation.endswith(remediation)
    if level:
        assert "skb rides the rocket" in found.message
        assert "MTU below 9001" in found.message


def test_xens_workaround_on_a_current_kernel_is_needless_and_costs_the_mtu() -> None:
    found = verdicts("xen-new")["nic_offload"]
    assert found.level == Level.WARNING
    assert "linearises such packets and needs no workaround" in found.message
    assert found.remediation == "ethtool -K eth0 sg on && ip link set eth0 mtu 9001"


@pytest.mark.fault(36)
def test_empty_and_invalid_files_cost_only_their_fact(tmp_path: Path) -> None:
    host = tmp_path / "host"
    shutil.copytree(HOSTS / "ena-github", host, symlinks=True)
    nic = host / "sys/class/net/ens5"
    for name, text in {"mtu": "", "carrier": "?", "carrier_changes": "-1", "flags": "zz"}.items():
        (nic / name).write_text(text)
    (host / "proc/net/snmp").write_text("Tcp: OutSegs Future RetransSegs\nTcp: 5 7\n")
    (host / "ethtool/ens5/S").write_text("NIC statistics:\n  : \n  a: b\n     pps_allowance_exceeded: 99999999999999999999999\n\0")
    found = verdicts(host)
    assert found["nic_link"].level == Level.HEALTHY
    assert found["nic_allowance"].level == Level.WARNING


@pytest.mark.fault(13)
def test_a_host_without_interfaces_is_unavailable_and_no_failure(tmp_path: Path) -> None:
    collector = NicCollector(NicSettings(), CollectorContext(proc=tmp_path, sys=tmp_path / "nowhere", root=tmp_path))
    with pytest.raises(Unavailable) as raised:
        collector.read()
    assert raised.value.reason == "failing"
    collector.close()


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    "saved", [[], "x", {"ens5": 3}, {"ens5": {"mtu": [1]}}, {"ens5": {"mtu": ["a", "b", "c"]}}, {"ens5": {"mtu": [None, 1, 2]}}]
)
def test_an_unknown_state_is_ignored(saved: Any) -> None:
    assert verdicts("ena-github", slot=Kept.of(saved))["nic_mtu"].level == Level.HEALTHY


def shown(host: Path | str) -> dict[str, Panel]:
    collector = new_collector(host)
    try:
        return {panel.title: panel for panel in collector.show([collector.read()], SETTINGS)}
    finally:
        collector.close()


def test_the_panel_shows_what_is_off_and_why() -> None:
    panel = shown("ena-old")["Network interfaces"]
    (row,) = panel.rows
    cells = dict(zip(panel.columns, row, strict=True))
    assert cells["driver"] == "ena"
    assert cells["offloads on"] == "gro rx tx"
    assert cells["off"] == "sg, tso [fixed], gso [requested on], lro [fixed]"


def test_the_kernels_release_is_not_shown_as_the_drivers_version() -> None:
    panel = shown("ena-in-tree")["Network interfaces"]
    assert dict(zip(panel.columns, panel.rows[0], strict=True))["version"] == "in-tree"


@pytest.mark.fault(56)
@pytest.mark.needs("promtool")
@pytest.mark.parametrize("host", sorted(path.name for path in HOSTS.iterdir() if path.is_dir()))
def test_every_recorded_host_makes_a_valid_page(host: str) -> None:
    collector = new_collector(host)
    try:
        reading = collector.read()
        report = Report("nic", 0.0, tuple(collector.judge([reading], SETTINGS)), tuple(collector.measure(reading, SETTINGS)))
    finally:
        collector.close()
    page = Exposition(Dropped()).render([report], negotiate_format("text/plain"))
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
