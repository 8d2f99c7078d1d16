"""Network devices without a driver: sysfs trees and two real kernels in, verdicts out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.model import Level, Verdict
from collectors.nic.boot.boot_loader import menu_position, next_kernel
from collectors.nic.boot.device_modules import DeviceModule, find_device_module
from collectors.nic.boot.kernels import releases
from collectors.nic.checks.device import KNOWN, device_verdicts
from collectors.nic.device_tracker import DeviceTracker
from collectors.nic.readers.devices import NetworkDevice, read_devices
from collectors.nic.readers.sysfs import Device, LinkState
from collectors.nic.reading import DeviceState, LostInterface, Nic, NicReading
from tests.kit.kernel_packages import MACHINE
from tests.kit.texts import assert_complete

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.fault(143)

ENA_ALIAS = "pci:v00001D0Fd0000EC20sv00001D0Fsd0000EC20bc02sc00i00"
ENA = NetworkDevice("pci", "0000:00:05.0", "1d0f:ec20", modalias=ENA_ALIAS)
ETH0 = Nic(LinkState("eth0", 2, 9001, up=True, carrier=True, carrier_changes=1, device=Device(True, "ena", "ena", "", "", "0000:00:09.0")))  # noqa: FBT003


def verdict(device: NetworkDevice = ENA, module: DeviceModule | None = None, *, nics: tuple[Nic, ...] = (), **more: Any) -> Verdict:
    state = {name: more.pop(name) for name in ("is_loaded", "since", "ignored") if name in more}
    reading = NicReading(1e9, "6.1.0-50-cloud-amd64", nics, devices=(DeviceState(device, module, **state),), **{"uptime": 900.0, **more})
    (found,) = device_verdicts(reading)
    assert_complete(found)
    return found


MISSING = DeviceModule("ena", "missing", "", "6.1.0-49-cloud-amd64", "1>2", "grub-reboot")


@pytest.mark.parametrize(
    ("module", "is_loaded", "message", "remediation"),
    [
        (
            MISSING,
            False,
            "kernel 6.1.0-50-cloud-amd64 has no module ena, kernel 6.1.0-49-cloud-amd64 has it",
            "grub-reboot '1>2' && reboot, then remove the kernel without ena",
        ),
        (
            DeviceModule("ena", "missing", "", "6.1.119-129.201.amzn2023", "", "grubby"),
            False,
            "kernel 6.1.119-129.201.amzn2023 has it",
            "grubby --set-default /boot/vmlinuz-6.1.119-129.201.amzn2023 && reboot",
        ),
        (
            DeviceModule("ena", "missing", "", "6.1.0-49-cloud-amd64"),
            False,
            "kernel 6.1.0-49-cloud-amd64 has it",
            "boot kernel 6.1.0-49-cloud-amd64: choose it in the boot menu on the serial console",
        ),
        (DeviceModule(), False, "no installed kernel has its module ena", "apt-get install linux-modules-extra-6.1.0-50-cloud-amd64"),
        (DeviceModule("ena", "on disk"), False, "installed for kernel 6.1.0-50-cloud-amd64 but not loaded", "modprobe ena; if that fails"),
        (DeviceModule("ena", "on disk"), True, "its module ena is loaded but does not drive it", "> /sys/bus/pci/drivers_probe"),
        (
            DeviceModule("ena", "built in"),
            True,
            "its module ena is built into the kernel",
            "echo 0000:00:05.0 > /sys/bus/pci/drivers_probe",
        ),
        (
            DeviceModule("ena", "blacklisted", "/etc/modprobe.d/no.conf"),
            False,
            "its module ena is blacklisted by /etc/modprobe.d/no.conf",
            "else: sed -i '/ena/s/^/#/' /etc/modprobe.d/no.conf && modprobe ena",
        ),
        (
            DeviceModule("ena", "blacklisted", "the kernel parameter module_blacklist"),
            False,
            "blacklisted by the kernel parameter module_blacklist",
            "take ena out of the kernel parameter module_blacklist (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub), and reboot",
        ),
        (
            DeviceModule("ena", "broken", "updates/dkms/ena.ko: built for kernel 6.1.0-49-cloud-amd64"),
            False,
            "cannot be loaded by kernel 6.1.0-50-cloud-amd64 (updates/dkms/ena.ko: built for kernel 6.1.0-49-cloud-amd64)",
            "dkms autoinstall -k 6.1.0-50-cloud-amd64",
        ),
        (
            DeviceModule("", "unreadable", "lib/modules: Permission denied"),
            False,
            "has its module (lib/modules: Permission denied)",
            "dmesg | grep",
        ),
        (None, False, "has no driver", "dmesg | grep 0000:00:05.0"),
    ],
)
def test_a_device_without_a_driver_is_critical_and_says_where_its_module_is_missing(
    module: DeviceModule | None,
    is_loaded: bool,  # noqa: FBT001
    message: str,
    remediation: str,
) -> None:
    found = verdict(module=module, is_loaded=is_loaded)
    assert (found.check, found.subject, found.level) == ("nic_device", "0000:00:05.0", Level.CRITICAL)
    assert found.message.startswith("Amazon ENA 0000:00:05.0 (1d0f:ec20) has no driver")
    assert message in found.message
    assert remediation in found.remediation


def test_with_a_driver_it_is_healthy_whichever_driver_that_is() -> None:
    for driver in ("ena", "vfio-pci", "uio_pci_generic", "igb_uio"):
        assert verdict(NetworkDevice("pci", "0000:00:05.0", "1d0f:ec20", driver)).level == Level.HEALTHY


@pytest.mark.parametrize(
    ("device", "more", "reason"),
    [
        (NetworkDevice("pci", "0000:00:05.0", "1d0f:ec20", override="vfio-pci"), {}, "reserved for vfio-pci by driver_override"),
        (NetworkDevice("pci", "0000:00:05.1", "8086:10ed", is_virtual_function=True), {}, "a virtual function of this host's own NIC"),
        (ENA, {"ignored": True}, "listed in [nic] ignore"),
        (ENA, {"uptime": 40.0}, "the host booted less than 120 s ago"),
        (ENA, {"since": 1e9 - 10}, "it was attached less than 30 s ago"),
    ],
)
def test_what_is_without_a_driver_on_purpose_or_for_a_moment_is_no_finding(
    device: NetworkDevice, more: dict[str, Any], reason: str
) -> None:
    found = verdict(device, DeviceModule("ena", "on disk"), **more)
    assert found.level == Level.HEALTHY
    assert reason in found.message


def test_the_moment_ends() -> None:
    module = DeviceModule("ena", "on disk")
    assert verdict(module=module, since=1e9 - 31).level == Level.CRITICAL
    assert verdict(module=module, since=1e9 + 999).level == Level.CRITICAL  # the clock was set back
    assert verdict(module=module, uptime=121.0).level == Level.CRITICAL
    assert verdict(module=module, uptime=None).level == Level.CRITICAL


def test_the_emulated_twin_of_a_xen_interface_needs_no_driver() -> None:
    twin, vif = NetworkDevice("pci", "0000:00:03.0", "10ec:8139"), NetworkDevice("xen", "vif-0", driver="vif")

    def levels(*devices: NetworkDevice, is_xen: bool) -> list[Level]:
        states = tuple(DeviceState(device, DeviceModule()) for device in devices)
        return [found.level for found in device_verdicts(NicReading(1e9, "5.10", devices=states, uptime=900.0, is_xen=is_xen))]

    assert levels(twin, vif, is_xen=True) == [Level.HEALTHY, Level.HEALTHY]
    assert levels(twin, NetworkDevice("xen", "vif-0"), is_xen=True) == [Level.CRITICAL, Level.CRITICAL]
    assert levels(twin, vif, is_xen=False) == [Level.CRITICAL, Level.HEALTHY]


def test_a_blacklisted_module_is_a_warning_while_another_interface_is_there() -> None:
    blacklisted = DeviceModule("ena", "blacklisted", "/etc/modprobe.d/no.conf")
    assert verdict(module=blacklisted).level == Level.CRITICAL
    assert verdict(module=blacklisted, nics=(ETH0,)).level == Level.WARNING
    assert verdict(module=MISSING, nics=(ETH0,)).level == Level.CRITICAL


def test_an_efa_without_a_driver_is_a_warning_since_ip_does_not_need_it() -> None:
    found = verdict(NetworkDevice("pci", "0000:00:06.0", "1d0f:efa1"), DeviceModule())
    assert found.level == Level.WARNING
    assert "so RDMA does not work; IP does not need it: no installed kernel has its module efa" in found.message


def test_a_device_that_lost_its_driver_in_the_reboot_has_one_finding_with_the_old_name() -> None:
    lost = (LostInterface("ens5", "02:00:00:00:00:05", "0000:00:05.0", "ena"),)
    found = verdict(module=MISSING, lost=lost)
    assert "(it was ens5 at the last boot)" in found.message
    assert found.evidence["interface_at_last_boot"] == "ens5"


def sysfs(root: Path, bus: str, address: str, driver: str = "", **files: str) -> None:
    folder = root / "sys/bus" / bus / "devices" / address
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name.removeprefix("_")).write_text(f"{content}\n")
    if driver:
        (folder / "driver").symlink_to(f"../../../bus/{bus}/drivers/{driver}")


def test_the_devices_of_all_buses_are_read_and_others_are_not(tmp_path: Path) -> None:
    ena = {"_class": "0x020000", "vendor": "0x1d0f", "device": "0xec20"}
    sysfs(tmp_path, "pci", "0000:00:05.0", modalias=ENA_ALIAS, driver_override="(null)", **ena)
    sysfs(tmp_path, "pci", "0000:00:06.0", "vfio-pci", **ena)
    sysfs(tmp_path, "pci", "0000:00:07.0", _class="0x028000", vendor="0x10ec", device="0x8139", driver_override="uio_pci_generic")
    sysfs(tmp_path, "pci", "0000:00:04.0", "nvme", _class="0x010802", vendor="0x1d0f", device="0x8061")
    sysfs(tmp_path, "virtio", "virtio0", device="0x0001", modalias="virtio:d00000001v00001AF4")
    sysfs(tmp_path, "virtio", "virtio1", "virtio_blk", device="0x0002")
    sysfs(tmp_path, "xen", "vif-0", "vif", devtype="vif", modalias="xen:vif")
    sysfs(tmp_path, "xen", "vbd-768", devtype="vbd")
    assert read_devices(tmp_path / "sys") == (
        ENA,
        NetworkDevice("pci", "0000:00:06.0", "1d0f:ec20", "vfio-pci"),
        NetworkDevice("pci", "0000:00:07.0", "10ec:8139", override="uio_pci_generic"),
        NetworkDevice("virtio", "virtio0", modalias="virtio:d00000001v00001AF4"),
        NetworkDevice("xen", "vif-0", driver="vif"),
    )
    assert read_devices(tmp_path / "nowhere") == ()


def test_ignore_takes_addresses_and_identities_and_a_hotplug_has_its_moment(tmp_path: Path) -> None:
    sysfs(tmp_path, "pci", "0000:00:05.0", _class="0x020000", vendor="0x1d0f", device="0xefa1")
    states = {}
    for pattern in ("lo", "0000:00:05.*", "1d0f:efa?"):
        tracker = DeviceTracker(tmp_path / "sys", (pattern,))
        tracker.scan(1e9)
        states[pattern] = [(state.ignored, state.since) for state in tracker.states({})]
    assert states == {"lo": [(False, None)], "0000:00:05.*": [(True, None)], "1d0f:efa?": [(True, None)]}
    sysfs(tmp_path, "pci", "0000:00:06.0", _class="0x020000", vendor="0x1d0f", device="0xec20", modalias=ENA_ALIAS)
    tracker.scan(1e9 + 60)
    tracker.scan(1e9 + 70)
    assert [state.since for state in tracker.states({})] == [None, 1e9 + 60]
    assert tracker.modaliases() == (ENA_ALIAS,)


@pytest.fixture
def aliases(host: Path, kernels: Path) -> Path:
    """The host's two kernels, with depmod's aliases."""
    for release in releases(host):
        (host / f"lib/modules/{release}/modules.alias").write_bytes((kernels / f"lib/modules/{release}/modules.alias").read_bytes())
    return host


def test_the_module_of_a_modalias_and_its_state_are_those_of_real_kernels(aliases: Path) -> None:
    running = releases(aliases)[-1]

    def state(cmdline: str = "", modalias: str = ENA_ALIAS) -> tuple[str, str, str]:
        found = find_device_module(aliases, running, modalias, cmdline, MACHINE)
        return found.name, found.state, found.detail

    assert state() == ("ena", "on disk", "")
    assert state("root=/dev/vda module_blacklist=nvme,ena quiet") == ("ena", "blacklisted", "the kernel parameter module_blacklist")
    assert state("modprobe.blacklist=ena") == ("ena", "blacklisted", "the kernel parameter modprobe.blacklist")
    assert state(modalias="pci:v0000FFFFd0000FFFFsv0000FFFFsd0000FFFFbc02sc00i00") == ("", "missing", "")
    conf = aliases / "usr/lib/modprobe.d/none.conf"
    conf.parent.mkdir(parents=True)
    lines = {"blacklist ena": True, "install ena /bin/false": True, "install ena /sbin/modprobe -i ena": False, "# blacklist ena": False}
    for line, place in lines.items():
        conf.write_text(f"options x y=1\n{line}\n")
        assert state() == (("ena", "blacklisted", "/usr/lib/modprobe.d/none.conf") if place else ("ena", "on disk", "")), line
    conf.write_text("blacklist ena\n")
    (aliases / "etc/modprobe.d").mkdir(parents=True)
    (aliases / "etc/modprobe.d/none.conf").write_text("")  # replaces the one of the same name
    assert state() == ("ena", "on disk", "")


def test_a_kernel_without_the_module_names_the_one_that_has_it_and_how_to_boot_that(aliases: Path) -> None:
    old, new = releases(aliases)
    lists = aliases / f"lib/modules/{new}/modules.alias"
    lists.write_text("".join(f"{line}\n" for line in lists.read_text().splitlines() if not line.endswith(" ena")))
    (aliases / "usr/sbin").mkdir(parents=True)
    (aliases / "usr/sbin/grub-reboot").touch()
    (aliases / "boot/grub").mkdir(parents=True)
    images = (f"boot/vmlinuz-{release} root=/dev/xvda" for release in (new, old))
    entries = "".join(f"\tmenuentry 'Linux {image}' --id x {{\n\t\tlinux\t/{image}\n\t}}\n" for image in images)
    grub = f"menuentry 'Linux' {{\n\tlinux\t/boot/vmlinuz-{new} root=/dev/xvda\n}}\nsubmenu 'Advanced' {{\n{entries}}}\n"
    (aliases / "boot/grub/grub.cfg").write_text(grub)
    found = find_device_module(aliases, new, ENA_ALIAS, "", MACHINE)
    assert found == DeviceModule("ena", "missing", "", old, "1>1", "grub-reboot")
    assert menu_position(aliases, new) == "0"
    (aliases / "boot/grub/grubenv").write_text("next_entry=1>1\n")  # as grub-reboot writes it
    assert next_kernel(aliases, [old, new]) == (old, "grub's next_entry")


def test_a_module_that_depmod_lists_and_that_is_gone_is_broken(aliases: Path) -> None:
    running = releases(aliases)[-1]
    next(aliases.glob(f"lib/modules/{running}/**/ena.ko")).unlink()
    found = find_device_module(aliases, running, ENA_ALIAS, "", MACHINE)
    assert (found.name, found.state) == ("ena", "broken")
    assert "which does not exist" in found.detail


TEXTS = st.sampled_from(["", "ena"])
DEVICES = st.builds(
    NetworkDevice,
    st.sampled_from(["pci", "virtio", "xen"]),
    st.just("0000:00:05.0"),
    st.sampled_from(["", "dead:beef", *KNOWN]),
    TEXTS,
    st.sampled_from(["", ENA_ALIAS]),
    st.sampled_from(["", "vfio-pci"]),
    st.booleans(),
)
MODULES = st.builds(
    DeviceModule,
    TEXTS,
    st.sampled_from(["missing", "built in", "on disk"]),
    st.just(""),
    st.sampled_from(["", "6.1.0-49"]),
    st.sampled_from(["", "1>2"]),
    st.sampled_from(["", "grubby", "grub-reboot"]),
)
SINCE = st.none() | st.sampled_from([1e9 - 5, 1e9 - 500, -1.0, 1e20])


@given(DEVICES, st.none() | MODULES, st.booleans(), SINCE, st.booleans(), st.none() | st.sampled_from([5.0, 500.0]))
def test_no_text_has_a_gap(
    device: NetworkDevice,
    module: DeviceModule | None,
    is_loaded: bool,  # noqa: FBT001
    since: float | None,
    ignored: bool,  # noqa: FBT001
    uptime: float | None,
) -> None:
    if module is not None and not module.name:
        module, is_loaded = DeviceModule(), False
    verdict(device, module, is_loaded=is_loaded, since=since, ignored=ignored, uptime=uptime)
