"""What the next boot does to the NIC's driver, said before anybody reboots. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.nic import known_issues as rules
from collectors.nic.checks.version import Shape, numbers, older, shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.boot.kernels import Disk, Kernel, Module
    from collectors.nic.reading import Nic, Reading

CHECK = "nic_driver_next_boot"
SETTLING_SECONDS = 300.0  # an installation is not judged harshly while it may still be running: DKMS builds after the files are unpacked
_MAKE_ANEW = "update-initramfs -u -k {0} (Debian, Ubuntu) or dracut -f --kver {0} (Amazon Linux, RHEL)"
_NETWORK_ROOT = re.compile(
    r"(?:^|\s)(?:root=(?:/dev/nfs|nfs4?:|iscsi:|nbd:|dhcp6?\b|live:(?:https?|ftp|nfs))|nfsroot=|netroot=|boot=nfs|iscsi_target|rd\.iscsi\.)\S*"
)
_LOSSES = {
    "ixgbevf": "this host would come back on xen_netfront without enhanced networking",
    "ena": "this host would come back without a network on Nitro, on xen_netfront without enhanced networking on Xen",
}


@dataclass(frozen=True, slots=True)
class Prospect:
    """One interface and the kernel that boots next: the module there, the running kernel's on disk, the version that is loaded."""

    nic: Nic
    kernel: Kernel
    module: Module
    running: Module | None
    loaded: str
    network_root: str = ""

    @property
    def outside(self) -> bool:
        """Say whether the driver in use is a build of its own, not the kernel's."""
        return self.running is not None and self.running.origin == "dkms"


def module_of(nic: Nic) -> str:
    """Name the module this interface needs, as modprobe does."""
    return nic.link.device.module or rules.MODULES.get(nic.driver_name, nic.link.driver)


def next_boot_verdicts(reading: Reading) -> Iterator[Verdict]:
    """Judge each interface with a device behind it; none where no installed kernel can be seen."""
    disk = reading.disk
    for nic in reading.nics if disk is not None else ():
        if disk is None or not nic.link.physical or not module_of(nic):
            continue
        if disk.problem:
            text = f"cannot tell which driver the next boot brings: {disk.problem}"
            yield Verdict(CHECK, nic.link.name, Level.WARNING, text, {}, f"let vitald read it: chmod o+rx {disk.problem.partition(':')[0]}")
            continue
        kernels = {kernel.release: kernel for kernel in disk.kernels}
        target, running, driver = kernels.get(disk.next_kernel), kernels.get(reading.release), module_of(nic)
        if target is not None and driver in target.modules:
            there = running.modules.get(driver) if running else None
            loaded = nic.link.device.version or (there.version if there and not there.problem else "")
            yield _judge(Prospect(nic, target, target.modules[driver], there, loaded, network_root(reading.cmdline)), disk, reading.wall)


def _judge(it: Prospect, disk: Disk, wall: float) -> Verdict:
    evidence: dict[str, Any] = {
        "next_kernel": it.kernel.release,
        "chosen_by": disk.chosen,
        "module": it.module.path or it.module.origin,
        "origin": it.module.origin,
        "version": it.module.version,
        "loaded": it.loaded,
        "initramfs": initramfs(it.module),
        "root": it.network_root,
        "headers": it.kernel.headers,
        "kernels": ", ".join(
            f"{kernel.release} {found.origin}" for kernel in disk.kernels if (found := kernel.modules.get(it.module.driver))
        ),
    }
    level, message, remediation = _outlook(it)
    if level is Level.CRITICAL and 0 <= wall - it.kernel.changed < SETTLING_SECONDS:
        level = Level.WARNING
        message += f" (installed less than {SETTLING_SECONDS / 60:.0f} minutes ago: a build may still be running)"
    facts = {name: value for name, value in evidence.items() if value not in ("", None)}
    return Verdict(CHECK, it.nic.link.name, level, message, facts, remediation)


def _outlook(it: Prospect) -> tuple[Level, str, str]:
    """Give level, message and remediation of the worst that is known."""
    module, kernel, name = it.module, it.kernel.release, it.module.driver
    if module.unread:
        text = f"cannot tell whether the next kernel {kernel} has {name}: {module.unread}"
        return Level.WARNING, text, f"let vitald read /lib/modules/{kernel}: chmod -R o+rX"
    lost = _lost(it)
    if lost:
        return Level.CRITICAL, f"the next kernel {kernel} {lost}", _mend(it)
    if it.network_root and module.inside is not None and module.inside.there is False and module.path:
        text = f"the initramfs of {kernel} has no {name}, and this host's root is on the network ({it.network_root}): it would not boot"
        return (
            Level.CRITICAL,
            text,
            f"add {name} to /etc/initramfs-tools/modules or dracut's add_drivers, then: {_MAKE_ANEW.format(kernel)}",
        )
    changed = _changed(it)
    if changed:
        return Level.WARNING, f"the next kernel {kernel} {changed}", _mend(it)
    stale = _stale(it)
    if stale:
        floor = it.nic.wanted.min_version
        old = floor is not None and module.inside is not None and numbers(module.inside.version) and older(module.inside.version, floor)
        return Level.CRITICAL if old else Level.WARNING, f"the initramfs of {kernel} {stale}", _MAKE_ANEW.format(kernel)
    return Level.HEALTHY, "", ""


def network_root(cmdline: str) -> str:
    """Give the word of the kernel's command line that says that the root is on the network; empty where none does.

    Documentation/admin-guide/nfs/nfsroot.rst, dracut.cmdline(7), initramfs-tools(7), open-iscsi's README.Debian.
    """
    found = _NETWORK_ROOT.search(cmdline)
    return found[0].strip() if found else ""


def initramfs(module: Module) -> str:
    """Say what is known of the initramfs in words; empty where there is none."""
    inside = module.inside
    if module.initramfs == "absent" or inside is None:
        return module.initramfs
    if inside.there is None:
        return f"{module.initramfs} than the module; what it holds cannot be told: {inside.problem}"
    return f"holds {module.driver} {inside.version}".rstrip() if inside.there else f"holds no {module.driver}"


def _stale(it: Prospect) -> str:
    """Say how the initramfs would load another module than the one on disk; empty where it would not."""
    module, inside = it.module, it.module.inside
    if inside is None or inside.there is None:
        old = module.origin == "dkms" and module.initramfs == "older"
        return f"is older than its {module.driver}: it may hold an old copy, which is the one that gets loaded" if old else ""
    ours, theirs = (one.srcversion if inside.srcversion and module.srcversion else one.version for one in (module, inside))
    if not inside.there or inside.problem or ours == theirs:
        return ""
    said = inside.version or "a copy without a version"
    return f"holds another {module.driver} ({said}) than the disk ({module.version or 'without a version'}): that copy gets loaded"


def _lost(it: Prospect) -> str:
    """Say what the next kernel cannot do that policy or the network needs; empty where it can."""
    module, floor, name = it.module, it.nic.wanted.min_version, it.module.driver
    loss = _LOSSES.get(name, "this host would come back without this interface")
    if module.origin == "missing":
        least = f" >= {floor}" if floor else ""
        return f"has no {name}{least}{f' ({module.problem})' if module.problem else ''}: {loss}"
    if module.problem:
        return f"cannot load {name} ({module.problem}): {loss}"
    if floor is not None and numbers(module.version) and older(module.version, floor):
        return f"has no {name} >= {floor}, only {module.version} ({module.origin}): what nic.policy asks for would be gone"
    if floor is not None and not module.version and numbers(it.loaded):
        return f"has no {name} >= {floor}, only the kernel's own build, which states no version: the driver would change"
    return ""


def _changed(it: Prospect) -> str:
    """Say how the driver would be another one; empty where it would not, or only newer."""
    module, name = it.module, it.module.driver
    if it.outside and module.origin == "in-tree":
        return f"has only its in-tree {name}; in use is {it.loaded or 'one'} from DKMS: the driver would change"
    if shape(it.loaded, "") in {Shape.GITHUB, Shape.OWN} and not module.version:
        return f"has {name} as the kernel's own build; in use is {it.loaded}: the driver would change"
    if numbers(module.version) and numbers(it.loaded) and older(module.version, it.loaded):
        return f"has {name} {module.version}, older than {it.loaded}, which is in use"
    return ""


def _mend(it: Prospect) -> str:
    kernel = it.kernel.release
    if it.outside or it.module.origin == "dkms":
        build = f"dkms autoinstall -k {kernel} && depmod {kernel}; do not reboot before"
        if it.kernel.headers:
            return build
        return f"install its headers (apt-get install linux-headers-{kernel}, or dnf install kernel-devel-{kernel}), then: {build}"
    extra = f"apt-get install linux-modules-extra-{kernel} (Ubuntu), or " if it.module.origin == "missing" else ""
    return f"{extra}reinstall the package of kernel {kernel} && depmod {kernel}, or boot another kernel; do not reboot before"
