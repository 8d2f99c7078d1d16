"""What the next boot does to the NIC's driver, said before anybody reboots. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.nic import rules
from collectors.nic.version import numbers, older

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.kernels import Disk, Kernel, Module
    from collectors.nic.reading import Nic, Reading

SETTLING_SECONDS = 300.0  # an installation is not judged harshly while it may still be running: DKMS builds after the files are unpacked


def module_of(nic: Nic) -> str:
    """Name the module this interface needs, as modprobe does."""
    return nic.link.module or rules.MODULES.get(nic.driver_name, nic.link.driver)


def next_boot_verdicts(reading: Reading) -> Iterator[Verdict]:
    """Judge each interface with a device behind it; none where no installed kernel can be seen."""
    disk = reading.disk
    if disk is None or not disk.next_kernel:
        return
    kernels = {kernel.release: kernel for kernel in disk.kernels}
    for nic in reading.nics:
        driver = module_of(nic)
        target = kernels[disk.next_kernel]
        if nic.link.physical and driver in target.modules:
            running = kernels.get(reading.release)
            yield _judge(nic, disk, target, running.modules.get(driver) if running else None, reading.wall)


def _judge(nic: Nic, disk: Disk, target: Kernel, running: Module | None, wall: float) -> Verdict:
    module, floor = target.modules[module_of(nic)], nic.wanted.min_version
    evidence: dict[str, Any] = {
        "next_kernel": target.release,
        "chosen_by": disk.chosen,
        "module": module.path,
        "origin": module.origin,
        "version": module.version,
        "initramfs": module.initramfs,
        "headers": target.headers,
        "kernels": {kernel.release: found.origin for kernel in disk.kernels if (found := kernel.modules.get(module.driver))},
    }
    level, message = _worst(module, running, floor, target, nic)
    if level is Level.CRITICAL and 0 <= wall - target.changed < SETTLING_SECONDS:
        level, message = (
            Level.WARNING,
            f"{message} (installed less than {SETTLING_SECONDS / 60:.0f} minutes ago: a build may still be running)",
        )
    return Verdict("nic_driver_next_boot", nic.link.name, level, message, evidence, _mend(module, running, target) if level else "")


def _worst(module: Module, running: Module | None, floor: str | None, target: Kernel, nic: Nic) -> tuple[Level, str]:  # noqa: PLR0911 — a list of cases, worst first
    name, kernel = module.driver, target.release
    loss = _loss(name)
    if module.origin == "missing":
        least = f" >= {floor}" if floor else ""
        detail = f" ({module.problem})" if module.problem else ""
        return Level.CRITICAL, f"the next kernel {kernel} has no {name}{least}{detail}: {loss}"
    if module.problem:
        return Level.CRITICAL, f"the next kernel {kernel} cannot load {name} ({module.problem}): {loss}"
    if floor is not None and numbers(module.version) and older(module.version, floor):
        return Level.CRITICAL, f"the next kernel {kernel} has no {name} >= {floor}, only {module.version} ({module.origin}): {loss}"
    if floor is not None and not numbers(module.version) and running is not None and numbers(running.version):
        return (
            Level.CRITICAL,
            f"the next kernel {kernel} has no {name} >= {floor}, only the kernel's own build without a version: the driver would change",
        )
    if running is not None and running.origin == "dkms" and module.origin == "in-tree":
        own = running.version or (nic.driver.version if nic.driver else "")
        return (
            Level.WARNING,
            f"the next kernel {kernel} has only its in-tree {name}; the running one has {own} from DKMS: the driver would change",
        )
    if running is not None and older(module.version or "0", running.version or "0") and module.version:
        return Level.WARNING, f"the next kernel {kernel} has {name} {module.version}, older than the running kernel's {running.version}"
    if module.origin == "dkms" and module.initramfs == "older":
        return (
            Level.WARNING,
            f"the initramfs of {kernel} is older than its {name}: it may hold an old copy, which is the one that gets loaded",
        )
    return Level.HEALTHY, ""


def _loss(driver: str) -> str:
    if driver == "ixgbevf":
        return "this host would come back on xen_netfront without enhanced networking"
    if driver == "ena":
        return "this host would come back without a network on Nitro, on xen_netfront without enhanced networking on Xen"
    return "this host would come back without this interface"


def _mend(module: Module, running: Module | None, target: Kernel) -> str:
    kernel = target.release
    if not module.problem and module.initramfs == "older" and module.origin == "dkms":
        return f"update-initramfs -u -k {kernel} (Debian, Ubuntu) or dracut -f --kver {kernel} (Amazon Linux, RHEL)"
    outside = running is not None and running.origin == "dkms"
    if not target.headers and (outside or module.origin == "dkms"):
        return (
            f"install that kernel's headers (apt-get install linux-headers-{kernel}, or dnf install kernel-devel-{kernel}), "
            f"then: dkms autoinstall -k {kernel}; do not reboot before"
        )
    if outside:
        return f"dkms autoinstall -k {kernel} && depmod {kernel}; do not reboot before"
    extra = f"apt-get install linux-modules-extra-{kernel} (Ubuntu), or " if module.origin == "missing" else ""
    return f"{extra}reinstall the package of kernel {kernel} && depmod {kernel}, or boot another kernel; do not reboot before"
