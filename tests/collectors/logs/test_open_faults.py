"""Open faults as series, with the sender of each line, and the instances by which faults are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from collectors.interfaces import DEFAULT_IGNORE, IgnoredInterfaces, matches_any
from collectors.logs.clock import Timestamp
from collectors.logs.fault_tracker import FaultTracker
from collectors.logs.matching.instance import disk_of, instance_of, is_ignored_device
from collectors.logs.settings import LogSettings
from collectors.logs.sources.event import LogEvent
from collectors.logs.sources.journal_entry import JournalEntry
from collectors.logs.state import LogsState
from collectors.model import BadInput
from daemon import config
from tests.collectors.logs.lines import NO_OFFERS, TIMEOUT, record
from tests.kit.slots import Kept

if TYPE_CHECKING:
    from collectors.logs.matching.packs import Packs
    from tests.collectors.logs.conftest import LogsLab

NOW = Timestamp(1_000_000.0, 5_000.0)


def fault_series(lab: LogsLab) -> dict[tuple[str, ...], float]:
    reading = lab.read()
    assert lab.logs is not None
    metrics = lab.logs.measure(reading, LogSettings())
    return {metric.labels: metric.value for metric in metrics if metric.family.name == "log_fault_level"}  # type: ignore[misc]


def test_an_open_fault_is_a_series_with_its_sender_until_it_is_over(lab: LogsLab, packs: Packs) -> None:
    lab.write(record(1, TIMEOUT), to="kmsg")
    lab.open(kmsg=str(lab.folder / "kmsg"))
    assert fault_series(lab) == {("nic_log", "netdev-watchdog", "eth0", "kernel", packs.by_id["netdev-watchdog"].meaning): 2}
    lab.write(NO_OFFERS)
    series = ("dhcp_log", "dhclient-no-offers", "", "dhclient", packs.by_id["dhclient-no-offers"].meaning)
    assert fault_series(lab)[series] == 2
    assert lab.verdicts()["dhcp_log"].evidence["unit"] == "dhclient"
    lab.write("Nov 21 10:05:00 ip-10-0-0-56 dhclient[694]: bound to 10.0.0.56 -- renewal in 1700 seconds.")
    assert series not in fault_series(lab)


def test_a_line_that_claims_to_be_the_kernels_has_no_sender(lab: LogsLab) -> None:
    folder = lab.pack('[[signature]]\nid = "mine"\nfamily = "kernel"\nseverity = "warning"\npattern = "it is broken"\n')
    lab.open(signature_dirs=(folder,))
    lab.read()
    lab.write("Nov 21 10:00:00 h kernel: it is broken")
    assert list(fault_series(lab)) == [("kernel_log", "mine", "", "", "")]
    lab.write("Nov 21 10:00:00 h /usr/sbin/app[3]: it is broken")
    assert list(fault_series(lab)) == [("kernel_log", "mine", "", "app", "")]


def test_a_journal_entrys_sender_is_its_unit_else_its_process() -> None:
    entry = JournalEntry("", 0.0, b"", comm="dhclient", unit="dhclient@eth0.service")
    assert entry.sender == "dhclient@eth0.service"
    assert JournalEntry("", 0.0, b"", comm="dhclient").sender == "dhclient"
    assert JournalEntry("", 0.0, b"", is_kernel=True, comm="x").sender == "kernel"


def test_a_state_saved_before_faults_had_a_sender_is_kept(packs: Packs) -> None:
    tracker = FaultTracker(packs.signatures, LogsState(), NOW, same_boot=True)
    tracker.add(LogEvent(packs.by_id["netdev-watchdog"], NOW.wall, "line", "eth0"), NOW)
    saved = msgspec.to_builtins(LogsState(wall=NOW.wall, events={"netdev-watchdog": 7}, faults=tracker.faults(NOW)))
    del saved["faults"][0]["unit"]
    state = Kept.of(saved).load(LogsState)
    assert (state.events, state.faults[0].instance, state.faults[0].unit) == ({"netdev-watchdog": 7}, "eth0", "")


def test_ending_one_fault_keeps_the_recent_events_of_other_instances(packs: Packs) -> None:
    signature = packs.by_id["dhclient-discover"]
    assert signature.escalate is not None
    tracker = FaultTracker(packs.signatures, LogsState(), NOW, same_boot=True)
    for name, count in (("eth0", signature.escalate.count), ("eth1", signature.escalate.count - 1)):
        for _ in range(count):
            tracker.add(LogEvent(signature, NOW.wall, "line", name), NOW)
    tracker.end_renewed({"eth0": NOW.boottime + 1})
    assert tracker.faults(NOW) == ()
    tracker.add(LogEvent(signature, NOW.wall, "line", "eth0"), NOW)
    assert tracker.faults(NOW) == (), "eth0 begins again"
    tracker.add(LogEvent(signature, NOW.wall, "line", "eth1"), NOW)
    assert [fault.instance for fault in tracker.faults(NOW)] == ["eth1"]


def test_a_recovery_that_names_the_bus_address_ends_the_fault_of_that_interface_only(lab: LogsLab) -> None:
    fault = "ena 0000:00:0{}.0 {}: Keep alive watchdog timeout."
    lab.write(record(1, fault.format(5, "eth0")), record(2, fault.format(6, "eth1")), to="kmsg")
    lab.open(kmsg=str(lab.folder / "kmsg"))
    assert sorted(fault.instance for fault in lab.read().faults) == ["eth0", "eth1"]
    lab.restart()
    lab.write(record(3, "ena 0000:00:05.0: Device reset completed successfully"), to="kmsg")
    assert [fault.instance for fault in lab.read().faults] == ["eth1"]
    lab.write(record(4, "ena 0000:00:06.0 eth1: Device reset completed successfully"), to="kmsg")
    assert lab.read().faults == ()


@pytest.mark.parametrize(
    ("device", "disk"),
    [
        ("sda1", "sda"), ("xvda1", "xvda"), ("vdb12", "vdb"), ("nvme0n1p1", "nvme0n1"), ("nvme0n1", "nvme0n1"), ("nvme0", "nvme0"),
        ("nvme0c1n1", "nvme0n1"), ("nvme10c1n2p3", "nvme10n2"), ("mmcblk0p2", "mmcblk0"), ("md0p1", "md0"), ("md127", "md127"),
        ("dm-4", "dm-4"), ("eth0", "eth0"), ("", ""), ("cciss!c0d0", "cciss!c0d0"), ("10.0.0.1", "10.0.0.1"),
    ],
)  # fmt: skip
def test_a_partition_belongs_to_its_disk(device: str, disk: str) -> None:
    assert disk_of(device) == disk


@pytest.mark.fault(135)
def test_devices_that_do_not_matter_are_told_from_disks() -> None:
    ignored = ["loop0", "loop11", "loop11p1", "fd0", "sr0", "scd1", "ram15", "zram0"]
    disks = ["sda", "nvme0n1", "dm-0", "md127", "xvda1", "nbd0", "rbd1", "vda", "srv", "ramdisk", "loop", "fdisk0", "mmcblk0", "pmem0"]
    assert [name for name in ignored + disks if is_ignored_device(name.encode())] == ignored


def test_the_instance_is_the_first_field_of_one_list_and_printable() -> None:
    assert instance_of({"task": "x", "server": "10.0.0.1", "unit": "a.service"}) == "a.service"
    assert instance_of({"device": "", "cgroup": "/a"}) == "/a"
    assert instance_of({"task": "x"}) == ""
    assert instance_of({"unit": "\x1b[31m"}) == "\\x1b[31m"
    pod = "/kubepods.slice/" + "kubepods-burstable.slice/" * 8 + "cri-containerd-0123.scope"
    assert instance_of({"cgroup": pod}).endswith("/cri-containerd-0123.scope")
    assert max(len(instance_of({name: "\x1b" * 999})) for name in ("cgroup", "unit")) == 128


@pytest.mark.fault(136)
def test_the_default_ignores_interfaces_of_containers_and_no_nic() -> None:
    nics = [
        "eth0",
        "ens5",
        "enp0s5",
        "enX0",
        "eno1",
        "eno8.2",
        "enP2p33s0",
        "em1",
        "p1p1",
        "ib0",
        "bond0",
        "team0",
        "br0",
        "wlan0",
        "wlp3s0",
    ]
    nics += ["tun0", "wg0", "vlan10", "eth0.100", "ext0", "usb0"]
    virtual = ["lo", "vethc76755b2", "docker0", "docker_gwbridge", "br-0a1b2c3d4e5f", "cni0", "cni-podman0", "podman1", "lxc1a2b", "lxdbr0"]
    virtual += [
        "ve-web",
        "cali12345",
        "cilium_host",
        "flannel.1",
        "eni0a1b2c3d4e5",
        "vxlan.calico",
        "virbr0",
        "virbr0-nic",
        "vnet3",
        "tap0",
    ]
    virtual += ["macvtap1", "kube-ipvs0"]
    assert [name for name in nics + virtual if matches_any(name, DEFAULT_IGNORE)] == virtual


@pytest.mark.fault(136)
def test_the_settings_of_nic_and_dhcp_hold_for_log_lines() -> None:
    parsed = config.parse('[nic]\nignore = ["foo*"]\n[dhcp]\nignore = ["bar*"]\n', "t")
    logs = parsed.collectors["logs"]
    assert isinstance(logs, LogSettings)
    ignored = logs.ignored_interfaces
    assert ignored == IgnoredInterfaces(("foo*",), ("bar*",))
    assert ignored != config.parse("", "t").collectors["logs"].ignored_interfaces  # type: ignore[attr-defined]
    assert [ignored.covers(family, b"foo0") for family in ("nic", "dhcp", "kernel")] == [True, False, True]
    assert [ignored.covers(family, b"bar0") for family in ("nic", "dhcp", "kernel")] == [False, True, False]
    with pytest.raises(BadInput, match=r"t: logs\.ignored_interfaces: cannot be set; expected `ignore` in \[nic\] and in \[dhcp\]"):
        config.parse('[logs]\nignored_interfaces = ["x"]\n', "t")
