"""Check `nic_driver_next_boot`: the kernel that boots next has the NIC's driver. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.nic import known_issues
from collectors.nic.checks.version import VersionOrigin, is_older, version_numbers, version_origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.boot.kernels import InstalledKernels, Kernel, KernelModule
    from collectors.nic.reading import Nic, NicReading

CHECK = "nic_driver_next_boot"
SETTLING_SECONDS = 300.0  # after a change of a kernel's files a finding is a warning only: DKMS builds after they are unpacked
_REBUILD_INITRAMFS = "update-initramfs -u -k {0} (Debian, Ubuntu) or dracut -f --kver {0} (Amazon Linux, RHEL)"
_NETWORK_ROOT = re.compile(
    r"(?:^|\s)(?:root=(?:/dev/nfs|nfs4?:|iscsi:|nbd:|dhcp6?\b|live:(?:https?|ftp|nfs))|nfsroot=|netroot=|boot=nfs|iscsi_target|rd\.iscsi\.)\S*"
)
_CONSEQUENCES = {
    "ixgbevf": "this host would come back on xen_netfront without enhanced networking",
    "ena": "this host would come back without a network on Nitro, on xen_netfront without enhanced networking on Xen",
}


@dataclass(frozen=True, slots=True)
class NextBoot:
    """One interface and the kernel that boots next: its module there, the running kernel's on disk, the version that is loaded."""

    nic: Nic
    kernel: Kernel
    module: KernelModule
    running: KernelModule | None
    loaded: str
    network_root: str = ""

    @property
    def uses_dkms(self) -> bool:
        """True if the driver in use is an out-of-tree build."""
        return self.running is not None and self.running.origin == "dkms"


def module_of(nic: Nic) -> str:
    """Return the name of the module that this interface needs, as modprobe has it."""
    return nic.link.device.module or known_issues.MODULES.get(nic.driver_name, nic.link.driver)


def next_boot_verdicts(reading: NicReading) -> Iterator[Verdict]:
    """Judge each interface with a device; no verdicts where no installed kernel can be seen."""
    installed = reading.installed
    for nic in reading.nics if installed is not None else ():
        if installed is None or not nic.link.physical or not module_of(nic):
            continue
        if installed.problem:
            text = f"could not tell the driver after the next boot: {installed.problem}"
            remediation = f"let vitald read it: chmod o+rx {installed.problem.partition(':')[0]}"
            yield Verdict(CHECK, nic.link.name, Level.WARNING, text, {}, remediation)
            continue
        kernels = {kernel.release: kernel for kernel in installed.kernels}
        kernel, running, driver = kernels.get(installed.next_kernel), kernels.get(reading.release), module_of(nic)
        if kernel is not None and driver in kernel.modules:
            on_disk = running.modules.get(driver) if running else None
            loaded = nic.link.device.version or (on_disk.version if on_disk and not on_disk.problem else "")
            next_boot = NextBoot(nic, kernel, kernel.modules[driver], on_disk, loaded, network_root(reading.cmdline))
            yield _verdict(next_boot, installed, reading.wall)


def _verdict(next_boot: NextBoot, installed: InstalledKernels, wall: float) -> Verdict:
    kernel, module = next_boot.kernel, next_boot.module
    origins = ((other.release, other.modules.get(module.driver)) for other in installed.kernels)
    evidence: dict[str, Any] = {
        "next_kernel": kernel.release,
        "chosen_by": installed.chosen_by,
        "module": module.path or module.origin,
        "origin": module.origin,
        "version": module.version,
        "loaded": next_boot.loaded,
        "initramfs": describe_initramfs(module),
        "root": next_boot.network_root,
        "headers": kernel.headers,
        "kernels": ", ".join(f"{release} {found.origin}" for release, found in origins if found),
    }
    level, message, remediation = _finding(next_boot)
    if level is Level.CRITICAL and 0 <= wall - kernel.changed < SETTLING_SECONDS:
        level = Level.WARNING
        message += f" (installed less than {SETTLING_SECONDS / 60:.0f} minutes ago: a build may still be running)"
    facts = {name: value for name, value in evidence.items() if value not in ("", None)}
    return Verdict(CHECK, next_boot.nic.link.name, level, message, facts, remediation)


def _finding(next_boot: NextBoot) -> tuple[Level, str, str]:
    """Return level, message and remediation of the worst finding."""
    module, kernel, driver = next_boot.module, next_boot.kernel.release, next_boot.module.driver
    if module.unreadable:
        text = f"could not tell whether the next kernel {kernel} has {driver}: {module.unreadable}"
        return Level.WARNING, text, f"let vitald read /lib/modules/{kernel}: chmod -R o+rX"
    if missing := _missing(next_boot):
        return Level.CRITICAL, f"the next kernel {kernel} {missing}", _remediation(next_boot)
    packed = module.packed
    if next_boot.network_root and packed is not None and packed.present is False and module.path:
        root = next_boot.network_root
        text = f"the initramfs of {kernel} has no {driver}, and this host's root is on the network ({root}): it would not boot"
        rebuild = _REBUILD_INITRAMFS.format(kernel)
        return Level.CRITICAL, text, f"add {driver} to /etc/initramfs-tools/modules or dracut's add_drivers, then: {rebuild}"
    if changed := _changed(next_boot):
        return Level.WARNING, f"the next kernel {kernel} {changed}", _remediation(next_boot)
    if stale := _stale_initramfs(module):
        minimum = next_boot.nic.required.min_version
        is_below = minimum is not None and packed is not None and version_numbers(packed.version) and is_older(packed.version, minimum)
        level = Level.CRITICAL if is_below else Level.WARNING
        return level, f"the initramfs of {kernel} {stale}", _REBUILD_INITRAMFS.format(kernel)
    return Level.HEALTHY, "", ""


def network_root(cmdline: str) -> str:
    """Return the parameter of the kernel's command line that puts the root on the network; empty where none does.

    Documentation/admin-guide/nfs/nfsroot.rst, dracut.cmdline(7), initramfs-tools(7), open-iscsi's README.Debian.
    """
    found = _NETWORK_ROOT.search(cmdline)
    return found[0].strip() if found else ""


def describe_initramfs(module: KernelModule) -> str:
    """Return what is known of the initramfs for evidence and panels."""
    packed = module.packed
    if module.initramfs == "absent" or packed is None:
        return module.initramfs
    if packed.present is None:
        return f"{module.initramfs} than the module, content not read: {packed.problem}"
    return f"contains {module.driver} {packed.version}".rstrip() if packed.present else f"contains no {module.driver}"


def _stale_initramfs(module: KernelModule) -> str:
    """Return how the initramfs would load another module than the one on disk; empty where it would not."""
    packed = module.packed
    if packed is None or packed.present is None:
        is_older_file = module.origin == "dkms" and module.initramfs == "older"
        return f"is older than its {module.driver}: it may contain an old copy, which is the one that gets loaded" if is_older_file else ""
    both_have_srcversion = packed.srcversion and module.srcversion
    is_same = packed.srcversion == module.srcversion if both_have_srcversion else packed.version == module.version
    if not packed.present or packed.problem or is_same:
        return ""
    version, on_disk = packed.version or "a copy without a version", module.version or "without a version"
    return f"contains another {module.driver} ({version}) than the disk ({on_disk}): that copy gets loaded"


def _missing(next_boot: NextBoot) -> str:
    """Return what the next kernel lacks that policy or the network needs; empty where it lacks nothing."""
    module, minimum, driver = next_boot.module, next_boot.nic.required.min_version, next_boot.module.driver
    consequence = _CONSEQUENCES.get(driver, "this host would come back without this interface")
    if module.origin == "missing":
        at_least = f" >= {minimum}" if minimum else ""
        return f"has no {driver}{at_least}{f' ({module.problem})' if module.problem else ''}: {consequence}"
    if module.problem:
        return f"cannot load {driver} ({module.problem}): {consequence}"
    if minimum is not None and version_numbers(module.version) and is_older(module.version, minimum):
        return f"has no {driver} >= {minimum}, which nic.policy requires, only {module.version} ({module.origin})"
    if minimum is not None and not module.version and version_numbers(next_boot.loaded):
        return f"has no {driver} >= {minimum}, only the in-tree driver, which states no version: the driver would change"
    return ""


def _changed(next_boot: NextBoot) -> str:
    """Return how the driver would change; empty where it would not, or would only be newer."""
    module, loaded, driver = next_boot.module, next_boot.loaded, next_boot.module.driver
    if next_boot.uses_dkms and module.origin == "in-tree":
        return f"has only its in-tree {driver}; in use is {loaded or 'one'} from DKMS: the driver would change"
    if version_origin(loaded, "") in {VersionOrigin.GITHUB, VersionOrigin.OWN} and not module.version:
        return f"has only the in-tree {driver}; in use is {loaded}: the driver would change"
    if version_numbers(module.version) and version_numbers(loaded) and is_older(module.version, loaded):
        return f"has {driver} {module.version}, older than {loaded}, which is in use"
    return ""


def _remediation(next_boot: NextBoot) -> str:
    kernel = next_boot.kernel.release
    if next_boot.uses_dkms or next_boot.module.origin == "dkms":
        build = f"dkms autoinstall -k {kernel} && depmod {kernel}; do not reboot before"
        if next_boot.kernel.headers:
            return build
        return f"install its headers (apt-get install linux-headers-{kernel}, or dnf install kernel-devel-{kernel}), then: {build}"
    extra = f"apt-get install linux-modules-extra-{kernel} (Ubuntu), or " if next_boot.module.origin == "missing" else ""
    return f"{extra}reinstall the package of kernel {kernel} && depmod {kernel}, or boot another kernel; do not reboot before"
