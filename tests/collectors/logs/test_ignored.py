"""Lines about devices and interfaces that do not matter make no finding: in the daemon, in `vitald scan` and in `vitald explain`."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from collectors.interfaces import IgnoredInterfaces
from collectors.model import Level
from daemon.cli.main import main
from tests.collectors.logs.lines import kmsg_records, record

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.logs.matching.packs import Packs
    from tests.collectors.logs.conftest import LogsLab

HARMLESS = [
    "blk_update_request: I/O error, dev loop11, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0",
    "I/O error, dev loop3, sector 0 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2",
    "blk_update_request: I/O error, dev fd0, sector 0",
    "print_req_error: I/O error, dev fd0, sector 0",
    "Buffer I/O error on dev fd0, logical block 0, async page read",
    "blk_update_request: critical target error, dev sr0, sector 0 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 0",
    "Buffer I/O error on dev sr0, logical block 0, async page read",
    "Buffer I/O error on dev zram0, logical block 4095, async page read",
    "Buffer I/O error on dev ram0, logical block 0, async page read",
    "Buffer I/O error on dev loop0p1, logical block 0, async page read",
    "systemd-udevd: attempt to access beyond end of device loop0: rw=0, sector=8, nr_sectors = 8 limit=0",
    "sr0: rw=0, want=68, limit=4",
    "operation not supported error, dev nvme1n1, sector 0 op 0x9:(WRITE_ZEROES) flags 0x800 phys_seg 0 prio class 2",
    "critical target error, dev sda, sector 2048 op 0x3:(DISCARD) flags 0x800 phys_seg 1 prio class 2",
]
ERROR = "I/O error, dev {}, sector 4217392 op 0x1:(WRITE) flags 0x9800 phys_seg 7 prio class 2"
BUFFER = "Buffer I/O error on dev {}, logical block 1066386, lost async page write"
WORDS = [  # of each network manager, about an interface that is gone
    "systemd-networkd[247]: {}: Lost carrier",
    "systemd-networkd[247]: {}: DHCP lease lost",
    "systemd-networkd[247]: {}: Could not set DHCPv4 address: Connection timed out",
    "systemd-networkd[247]: {}: Failed",
    "NetworkManager[358]: <info>  [1675449299.9318] device ({}): state change: activated -> unavailable (reason 'carrier-changed', x)",
    "NetworkManager[358]: <info>  [1675449299.9318] device ({}): state change: ip-config -> failed (reason 'ip-config-unavailable', x)",
    "NetworkManager[685]: <warn>  [1592888429.4360] dhcp4 ({}): request timed out",
    "dhcpcd[4339]: {}: carrier lost",
    "dhcpcd[4339]: {}: DHCP lease expired",
    "dhclient[694]: DHCPDECLINE of 10.0.0.9 on {} to 255.255.255.255 port 67",
]
CONTAINERS = ["vethc76755b2", "tap0", "virbr0", "docker0", "cni0", "br-0a1b2c3d4e5f", "flannel.1", "cali0123", "vnet4", "lxc1a2b"]


def kmsg(lab: LogsLab, *messages: str) -> None:
    """Append records to the lab's kernel log."""
    file = lab.folder / "kmsg"
    first = len(file.read_text().splitlines()) if file.exists() else 0
    lab.write(*(record(first + number, message) for number, message in enumerate(messages, 1)), to="kmsg")


@pytest.mark.fault(135)
def test_io_errors_of_devices_that_do_not_matter_are_no_finding(lab: LogsLab) -> None:
    kmsg(lab, *HARMLESS * 5)
    lab.open(kmsg=str(lab.folder / "kmsg"))
    assert lab.levels()["storage_log"] == Level.HEALTHY
    assert set(lab.counts()) <= {"blk-discard-failed"}


@pytest.mark.fault(135)
@pytest.mark.parametrize("text", [ERROR, BUFFER])
def test_one_io_error_of_a_disk_is_a_warning_and_three_are_critical(lab: LogsLab, text: str) -> None:
    kmsg(lab, text.format("nvme1n1p1"))
    lab.open(kmsg=str(lab.folder / "kmsg"))
    assert lab.levels()["storage_log"] == Level.WARNING
    kmsg(lab, text.format("sdb"), text.format("dm-3"), text.format("nvme1n1p2"))
    assert lab.levels()["storage_log"] == Level.WARNING, "of one disk only two"
    kmsg(lab, text.format("nvme1n1"))
    verdict = lab.verdicts()["storage_log"]
    assert (verdict.level, verdict.evidence["instance"]) == (Level.CRITICAL, "nvme1n1")
    lab.restart()
    assert lab.levels()["storage_log"] == Level.CRITICAL


@pytest.mark.fault(135)
def test_a_failed_file_system_is_critical_at_once(lab: LogsLab) -> None:
    kmsg(lab, "EXT4-fs (dm-4): Remounting filesystem read-only")
    lab.open(kmsg=str(lab.folder / "kmsg"))
    assert lab.levels()["storage_log"] == Level.CRITICAL


@pytest.mark.fault(136)
def test_interfaces_of_containers_are_no_finding_in_any_managers_words(lab: LogsLab) -> None:
    lab.read()
    for name in CONTAINERS:
        lab.write(*(f"Nov 21 10:00:00 h {text.format(name)}" for text in WORDS * 3))
    assert lab.counts() == {}
    lab.write(*(f"Nov 21 10:00:00 h {text.format('ens5')}" for text in WORDS))
    assert len(lab.counts()) == len(WORDS)
    assert lab.levels()["dhcp_log"] == lab.levels()["nic_log"] + 1 == Level.CRITICAL


@pytest.mark.fault(136)
def test_the_settings_decide_which_interfaces_are_ignored(lab: LogsLab) -> None:
    lab.open(ignored_interfaces=IgnoredInterfaces(nic=("ens*",), dhcp=("eth*",)))
    lab.read()
    for name in ("ens5", "eth0"):
        lab.write(
            f"Nov 21 10:00:00 h systemd-networkd[247]: {name}: Lost carrier", f"Nov 21 10:00:00 h dhcpcd[1]: {name}: DHCP lease expired"
        )
    assert sorted(fault.instance + " " + fault.signature for fault in lab.read().faults) == [
        "ens5 dhcpcd-lease-expired",
        "eth0 networkd-lost-carrier",
    ]


@pytest.mark.fault(136)
def test_open_faults_of_an_interface_end_when_the_settings_ignore_it(lab: LogsLab) -> None:
    lab.read()
    lab.write(*(f"Nov 21 10:00:00 h systemd-networkd[247]: {name}: Lost carrier" for name in ("web0", "ens5")))
    assert sorted(fault.instance for fault in lab.read().faults) == ["ens5", "web0"]
    lab.settings["ignored_interfaces"] = IgnoredInterfaces(nic=("web*",))
    lab.restart()
    assert [fault.instance for fault in lab.read().faults] == ["ens5"]


@pytest.mark.root
@pytest.mark.needs("losetup")
@pytest.mark.fault(135)
def test_an_io_error_of_a_loop_device_of_this_kernel_is_no_finding(lab: LogsLab) -> None:
    image = lab.folder / "image"
    image.write_bytes(b"x" * (1 << 20))
    device = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True).stdout.strip()
    kmsg = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.lseek(kmsg, 0, os.SEEK_END)
        os.truncate(image, 0)
        disk = os.open(device, os.O_RDONLY)
        try:
            with pytest.raises(OSError, match="Input/output error"):
                os.pread(disk, 4096, 512 << 10)
        finally:
            os.close(disk)
        records = list(kmsg_records(kmsg))
    finally:
        os.close(kmsg)
        subprocess.run(["losetup", "--detach", device], check=True)
    assert any(f"I/O error, dev {device.removeprefix('/dev/')}" in record for record in records), records
    (lab.folder / "kmsg").write_text("".join(records))
    lab.open(kmsg=str(lab.folder / "kmsg"))
    assert lab.levels()["storage_log"] == Level.HEALTHY
    assert lab.counts() == {}


@pytest.mark.fault(135)
@pytest.mark.fault(136)
def test_scan_and_explain_ignore_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"Mar  5 10:00:00 h kernel: {text}" for text in HARMLESS[:-2]]
    lines += [f"Mar  5 10:00:00 h {text.format(name)}" for name in CONTAINERS for text in WORDS]
    (tmp_path / "log").write_text("".join(f"{line}\n" for line in lines))
    assert main(["scan", "--format=json", str(tmp_path / "log")]) == 0
    assert json.loads(capsys.readouterr().out)["events"] == []
    assert main(["explain", "--format=json", *lines]) == 1
    assert not any(item["signatures"] for item in json.loads(capsys.readouterr().out))
    assert (
        main(["explain", lines[0], f"Mar  5 10:00:00 h {WORDS[0].format('veth12')}", f"Mar  5 10:00:00 h {WORDS[8].format('tap0')}"]) == 1
    )
    text = " ".join(capsys.readouterr().out.split())
    assert "would match blk-io-error, but loop11 is ignored: loop, floppy, optical and RAM devices do not count" in text
    assert "would match networkd-lost-carrier, but veth12 is ignored: `ignore` in [nic]" in text
    assert "would match dhcpcd-lease-expired, but tap0 is ignored: `ignore` in [dhcp]" in text
    (tmp_path / "vitald.toml").write_text('[nic]\nignore = ["lo"]\ninterval = "5s"\n')
    flags = ["--config.file", str(tmp_path / "vitald.toml")]
    assert main(["scan", *flags, "--format=json", str(tmp_path / "log")]) == 1
    events = json.loads(capsys.readouterr().out)["events"]
    assert {event["signature"] for event in events} == {"networkd-lost-carrier", "nm-carrier-lost", "dhcpcd-carrier-lost"}
    assert main(["explain", *flags, lines[len(HARMLESS) - 2]]) == 0


NAMES = re.compile(r"\b(?:eth|ens|enp\d+s|enX|eno|wlan|ppp|ext|lxcbr)\d+\b")


@pytest.mark.fault(136)
def test_every_signature_whose_lines_name_an_interface_captures_it(packs: Packs) -> None:
    """Else such lines about containers' interfaces would be findings. Hardware's own drivers, and a path, are no such lines."""
    missing = {
        signature.id: line
        for signature in packs.signatures
        if signature.family != "storage" and not signature.has_interface and not signature.origin.endswith("/ena.toml")
        for line in signature.match
        if "/" not in line and NAMES.search(line)
    }
    assert missing == {}
