"""Guests whose network devices lost their drivers: real /sys in, verdicts out, whose commands were tried there (guests/README.md)."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from collectors.model import CollectorContext, Level, Verdict
from collectors.nic.collector import NicCollector
from tests.collectors.nic.recorded_hosts import nic_settings
from tests.kit.texts import assert_complete

pytestmark = pytest.mark.fault(143)

GUESTS = Path(__file__).parent / "guests"
E1000, VIRTIO = "0000:00:03.0", "virtio0"
COMMANDS = dict(line.split("\t", 1) for line in (GUESTS / "commands.txt").read_text().splitlines())


def judged(moment: str, folder: Path, ignore: tuple[str, ...] = ("lo",)) -> dict[str, Verdict]:
    """Return the verdicts of `nic_device` by device."""
    with tarfile.open(GUESTS / f"{moment}.tar.xz") as tar:
        tar.extractall(folder, filter="fully_trusted")  # noqa: S202 — links as sysfs has them
    shutil.copytree(GUESTS / "kernels", folder, dirs_exist_ok=True)
    settings = nic_settings({"ignore": ignore})
    collector = NicCollector(settings, CollectorContext(folder / "proc", folder / "sys", folder))
    try:
        found = [verdict for verdict in collector.judge([collector.read()], settings) if verdict.check == "nic_device"]
    finally:
        collector.close()
    for verdict in found:
        assert_complete(verdict)
    return {verdict.subject: verdict for verdict in found}


def test_booted_into_a_kernel_without_the_module_it_names_device_module_and_the_kernel_that_has_it(tmp_path: Path) -> None:
    found = judged("without-module", tmp_path)
    assert {subject: verdict.level for subject, verdict in found.items()} == {
        E1000: Level.CRITICAL,
        "0000:00:04.0": Level.HEALTHY,
        VIRTIO: Level.HEALTHY,
    }
    assert found[E1000].message == (
        "Intel 82540EM (e1000) 0000:00:03.0 (8086:100e) has no driver: "
        "kernel 6.1.0-50-cloud-amd64 has no module e1000, kernel 6.1.0-50-amd64 has it"
    )
    assert found[E1000].remediation == "boot kernel 6.1.0-50-amd64: choose it in the boot menu on the serial console"
    assert not (tmp_path / "sys/class/net/ens3").exists()


@pytest.mark.parametrize(
    ("moment", "device", "message"),
    [
        ("not-loaded", E1000, "its module e1000 is installed for kernel 6.1.0-50-amd64 but not loaded"),
        ("blacklisted", E1000, "its module e1000 is blacklisted by /etc/modprobe.d/no-e1000.conf"),
        ("unbound", E1000, "its module e1000 is loaded but does not drive it (the probe failed, or it was unbound)"),
        ("virtio-not-loaded", VIRTIO, "its module virtio_net is installed for kernel 6.1.0-50-amd64 but not loaded"),
        ("virtio-unbound", VIRTIO, "its module virtio_net is loaded but does not drive it (the probe failed, or it was unbound)"),
    ],
)
def test_each_way_to_lose_a_driver_has_its_reason_and_a_command_that_worked_in_the_guest(
    moment: str, device: str, message: str, tmp_path: Path
) -> None:
    found = judged(moment, tmp_path)
    assert [subject for subject, verdict in found.items() if verdict.level] == [device]
    assert found[device].message.endswith(message)
    command, status, result = COMMANDS[moment].split("\t")
    assert command in found[device].remediation
    assert (status, result) == ("0", "bound")
    assert found[device].level == (Level.WARNING if moment == "blacklisted" else Level.CRITICAL)  # the other interface is there


@pytest.mark.parametrize("moment", ["driven", "reserved", "uio"])
def test_a_driver_of_any_kind_and_a_reservation_for_one_are_healthy(moment: str, tmp_path: Path) -> None:
    assert {verdict.level for verdict in judged(moment, tmp_path).values()} == {Level.HEALTHY}


@pytest.mark.parametrize("pattern", [E1000, "8086:100e", "0000:00:03.*"])
def test_an_ignored_device_is_healthy(pattern: str, tmp_path: Path) -> None:
    assert judged("not-loaded", tmp_path, ("lo", pattern))[E1000].level == Level.HEALTHY


def test_the_kernels_file_that_is_damaged_is_the_reason(tmp_path: Path) -> None:
    judged("not-loaded", tmp_path / "whole")
    root = tmp_path / "damaged"
    shutil.copytree(tmp_path / "whole", root, symlinks=True)
    (module,) = root.glob("lib/modules/*/kernel/drivers/net/ethernet/intel/e1000/e1000.ko.xz")
    module.write_bytes(module.read_bytes()[:1000])
    settings = nic_settings()
    collector = NicCollector(settings, CollectorContext(root / "proc", root / "sys", root))
    verdict = next(found for found in collector.judge([collector.read()], settings) if found.subject == E1000)
    collector.close()
    assert (
        "its module e1000 cannot be loaded by kernel 6.1.0-50-amd64 (kernel/drivers/net/ethernet/intel/e1000/e1000.ko.xz" in verdict.message
    )
    assert "reinstall the package of kernel 6.1.0-50-amd64" in verdict.remediation
