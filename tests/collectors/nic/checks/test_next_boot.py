"""The driver after the next boot, by the modules of two real kernels."""

from __future__ import annotations

import os
import shutil
import struct
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from collectors.model import Level
from collectors.nic.boot.kernel_watcher import fingerprint
from collectors.nic.boot.kernels import InstalledKernels, read_installed_kernels, read_module, releases
from collectors.nic.checks.next_boot import next_boot_verdicts
from collectors.nic.readers.ethtool import Driver
from collectors.nic.readers.sysfs import NO_DEVICE, Device, LinkState
from collectors.nic.reading import Nic, NicReading
from collectors.nic.settings import Requirements
from tests.kit.kernel_packages import MACHINE, MODULES

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.model import Verdict


def nic(driver: str = "ixgbevf", **required: Any) -> Nic:
    link = LinkState("eth0", 2, 1500, up=True, carrier=True, carrier_changes=1, device=Device(physical=True, driver=driver, module=driver))
    return Nic(link, Driver(driver, "4.1.2"), required=Requirements(**required))


def judged(root: Path, running: int = 0, after: float = 3600.0, loaded: str = "", **required: Any) -> Verdict:
    """Judge `after` seconds from now: an installation has settled by then."""
    installed = read_installed_kernels(root, ("ixgbevf",), MACHINE)
    assert installed is not None
    interface = nic(**required)
    interface = replace(interface, link=replace(interface.link, device=replace(interface.link.device, version=loaded)))
    (verdict,) = next_boot_verdicts(NicReading(time.time() + after, releases(root)[running], (interface,), installed=installed))
    return verdict


def test_two_whole_kernels_are_healthy_and_listed(host: Path) -> None:
    verdict = judged(host)
    assert verdict.level == Level.HEALTHY
    assert verdict.evidence["next_kernel"] == releases(host)[-1]
    assert verdict.evidence["kernels"] == ", ".join(f"{release} in-tree" for release in releases(host))


def test_a_next_kernel_without_the_module_is_critical(host: Path) -> None:
    newest = releases(host)[-1]
    (host / "lib/modules" / newest / MODULES["ixgbevf"]).unlink()
    verdict = judged(host, min_version="4.1")
    assert verdict.level == Level.CRITICAL
    assert verdict.message.startswith(f"the next kernel {newest} has no ixgbevf >= 4.1 (modules.dep lists")
    assert verdict.message.endswith("this host would come back on xen_netfront without enhanced networking")
    assert newest in verdict.remediation
    assert verdict.remediation.endswith("do not reboot before")


def test_a_dkms_module_that_the_next_kernel_lacks(host: Path) -> None:
    running, newest = releases(host)
    _dkms(host, running)
    verdict = judged(host)
    assert verdict.level == Level.WARNING
    assert f"the next kernel {newest} has only its in-tree ixgbevf" in verdict.message
    assert f"linux-headers-{newest}" in verdict.remediation
    (host / "lib/modules" / newest / "build").mkdir()
    (host / "lib/modules" / newest / "build/Makefile").touch()
    assert judged(host).remediation == f"dkms autoinstall -k {newest} && depmod {newest}; do not reboot before"


def _dkms(host: Path, release: str) -> None:
    folder = host / "lib/modules" / release
    (folder / "updates/dkms").mkdir(parents=True)
    shutil.copy2(folder / MODULES["ixgbevf"], folder / "updates/dkms/ixgbevf.ko")
    listed = (folder / "modules.dep").read_text().replace(f"{MODULES['ixgbevf']}:", "updates/dkms/ixgbevf.ko:")
    (folder / "modules.dep").write_text(listed)


def test_a_module_built_for_another_kernel_is_critical(host: Path) -> None:
    older, newest = releases(host)
    shutil.copy2(host / "lib/modules" / older / MODULES["ixgbevf"], host / "lib/modules" / newest / MODULES["ixgbevf"])
    verdict = judged(host)
    assert verdict.level == Level.CRITICAL
    assert f"built for kernel {older}" in verdict.message


def test_an_initramfs_older_than_its_dkms_module_may_contain_an_old_copy(host: Path) -> None:
    newest = releases(host)[-1]
    for release in releases(host):
        _dkms(host, release)
    initramfs = host / f"boot/initrd.img-{newest}"
    initramfs.touch()
    assert judged(host).level == Level.HEALTHY
    os.utime(initramfs, (1, 1))
    verdict = judged(host)
    assert verdict.level == Level.WARNING
    assert "it may contain an old copy" in verdict.message
    assert verdict.remediation.startswith(f"update-initramfs -u -k {newest}")


def test_a_kernel_that_is_being_installed_is_a_warning_only(host: Path) -> None:
    newest = releases(host)[-1]
    (host / "lib/modules" / newest / MODULES["ixgbevf"]).unlink()
    (host / "lib/modules" / newest / "modules.dep").unlink()  # and depmod has not run: this touches the folder, now
    verdict = judged(host, after=0.0)
    assert verdict.level == Level.WARNING
    assert "a build may still be running" in verdict.message


@pytest.mark.fault(36)
def test_a_kernel_installed_and_removed_during_a_read_is_no_failure(host: Path) -> None:
    older, newest = releases(host)
    source, target, stop = host / "aside", host / "lib/modules" / newest, threading.Event()
    shutil.copytree(target, source)

    def churn() -> None:
        while not stop.is_set():
            shutil.rmtree(target)
            (host / f"boot/vmlinuz-{newest}").unlink(missing_ok=True)
            shutil.copytree(source, target)
            (host / f"boot/vmlinuz-{newest}").touch()

    installer = threading.Thread(target=churn)
    installer.start()
    outcomes = set()
    try:
        for _ in range(150):
            fingerprint(host)
            verdict = judged(host, after=0.0)
            outcomes.add((verdict.evidence["next_kernel"], verdict.level))
    finally:
        stop.set()
        installer.join()
    assert {level for _, level in outcomes} <= {Level.HEALTHY, Level.WARNING}
    assert {kernel for kernel, _ in outcomes} <= {older, newest}
    assert judged(host).level == Level.HEALTHY


@pytest.mark.fault(26)
def test_a_module_that_is_a_directory_or_a_fifo_blocks_nothing(host: Path) -> None:
    newest = releases(host)[-1]
    path = host / "lib/modules" / newest / MODULES["ixgbevf"]
    path.unlink()
    path.mkdir()
    assert read_module(host, newest, "ixgbevf", MACHINE).problem.endswith("not a regular file")
    path.rmdir()
    os.mkfifo(path)
    assert read_module(host, newest, "ixgbevf", MACHINE).problem.endswith("not a regular file")
    verdict = judged(host)
    assert verdict.level == Level.CRITICAL
    assert "cannot load ixgbevf" in verdict.message


@pytest.mark.parametrize(("damage", "problem"), [("truncated", "the file is truncated"), ("foreign", "built for another architecture")])
def test_a_next_kernel_with_a_damaged_module_is_critical(host: Path, damage: str, problem: str) -> None:
    path = host / "lib/modules" / releases(host)[-1] / MODULES["ixgbevf"]
    content = bytearray(path.read_bytes())
    if damage == "foreign":
        struct.pack_into("<H", content, 18, 183 if MACHINE == "x86_64" else 62)  # elf.h: e_machine
    path.write_bytes(content[: len(content) // 2] if damage == "truncated" else content)
    verdict = judged(host)
    assert verdict.level == Level.CRITICAL
    assert problem in verdict.message
    assert verdict.remediation


def test_the_next_driver_is_compared_with_the_loaded_one(host: Path) -> None:
    verdict = judged(host, running=1, loaded="4.1.2")  # the very kernel that runs: its DKMS module was removed from disk since
    assert verdict.level == Level.WARNING
    assert "in use is 4.1.2: the driver would change" in verdict.message
    assert judged(host, running=1, loaded="4.1.0-k").level == Level.HEALTHY  # upstream dropped its version: no other driver


@pytest.mark.fault(13)
def test_without_kernels_there_is_no_verdict(tmp_path: Path) -> None:
    assert read_installed_kernels(tmp_path, ("ena",), MACHINE) is None
    (tmp_path / "lib/modules").mkdir(parents=True)
    assert read_installed_kernels(tmp_path, ("ena",), MACHINE) is None
    assert list(next_boot_verdicts(NicReading(0.0, "6.1.0", (nic(),)))) == []


def test_an_interface_without_a_device_has_no_verdict(host: Path) -> None:
    installed = read_installed_kernels(host, ("ixgbevf",), MACHINE)
    interface = nic()
    assert isinstance(installed, InstalledKernels)
    assert not list(
        next_boot_verdicts(
            NicReading(time.time(), "x", (replace(interface, link=replace(interface.link, device=NO_DEVICE)),), installed=installed)
        )
    )
