"""Check `nic_device`: every network device has a driver, and no interface was lost in a reboot. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.model import Level, Verdict
from collectors.nic.change_history import iso_time
from collectors.text import known_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.boot.device_modules import DeviceModule
    from collectors.nic.reading import DeviceState, LostInterface, NicReading

CHECK = "nic_device"
BOOT_SECONDS = 120.0  # since boot: udev may still be loading modules
PROBE_SECONDS = 30.0  # for the driver of a device that was attached while the host runs
# vendor:device → name and module, for devices that no installed kernel has a module for. Amazon: pci.ids and the tables of amzn-drivers;
# 82599 and X540 virtual functions: drivers/net/ethernet/intel/ixgbevf; virtio over PCI: drivers/virtio/virtio_pci_common.c
KNOWN = {
    **dict.fromkeys(("1d0f:0ec2", "1d0f:1ec2", "1d0f:ec20", "1d0f:ec21"), ("Amazon ENA", "ena")),
    **dict.fromkeys(("1d0f:efa0", "1d0f:efa1", "1d0f:efa2", "1d0f:efa3"), ("Amazon EFA", "efa")),
    **dict.fromkeys(("8086:10ed", "8086:1515"), ("Intel 82599 VF", "ixgbevf")),
    **dict.fromkeys(("1af4:1000", "1af4:1041"), ("virtio network device", "virtio_pci")),
    "8086:100e": ("Intel 82540EM (e1000)", "e1000"),
}
_ON_BUS = {"virtio": ("virtio network device", "virtio_net"), "xen": ("Xen network interface", "xen_netfront")}
_EMULATED_BY_XEN = {"8086:100e", "10ec:8139"}  # twins of a vif, which a kernel without xen_emul_unplug leaves there


def device_verdicts(reading: NicReading) -> Iterator[Verdict]:
    """Judge each network device, and each interface that was lost in the last reboot."""
    addresses = {state.device.address for state in reading.devices}
    for state in reading.devices:
        yield _device_verdict(state, reading)
    for lost in reading.lost:
        if lost.bus not in addresses:  # else the device is there, and has a verdict of its own
            yield _lost_verdict(lost, reading)


def _device_verdict(state: DeviceState, reading: NicReading) -> Verdict:
    device, module = state.device, state.module
    title, known_module = KNOWN.get(device.identity) or _ON_BUS.get(device.bus, ("network device", ""))
    name = (module.name if module else "") or known_module
    title = f"{title} {device.address}" + (f" ({device.identity})" if device.identity else "")
    was = next((lost for lost in reading.lost if lost.bus == device.address), None)
    evidence = known_facts({
        "device": device.identity,
        "bus": device.bus,
        "driver": device.driver,
        "module": "" if device.driver else name,
        "modalias": device.modalias,
        "kernel": "" if device.driver else reading.release,
        "other_kernel": module.elsewhere if module else "",
        "interface_at_last_boot": was.name if was else "",
        "since": iso_time(state.since),
    })  # fmt: skip

    def verdict(level: Level, message: str = "", remediation: str = "") -> Verdict:
        return Verdict(CHECK, device.address, level, message, evidence, remediation)

    if device.driver:
        return verdict(Level.HEALTHY)
    if exempt := _exemption(state, reading):
        return verdict(Level.HEALTHY, f"{title} has no driver: {exempt}")
    text = f"{title} has no driver" + (f" (it was {was.name} at the last boot)" if was else "")
    if module is None:
        return verdict(Level.CRITICAL, text, f"dmesg | grep {device.address}")
    reason, remediation = _reason(state, module, name, reading.release)
    level = Level.CRITICAL
    if device.identity.startswith("1d0f:efa"):
        level, text = Level.WARNING, f"{text}, so RDMA does not work; IP does not need it"
    elif module.state == "blacklisted" and any(nic.link.physical for nic in reading.nics):
        level = Level.WARNING
    return verdict(level, f"{text}: {reason}", remediation)


def _exemption(state: DeviceState, reading: NicReading) -> str:
    """Return why a device without a driver is none of a fault's; empty where it is one."""
    device, wall = state.device, reading.wall
    has_vif = any(other.device.bus == "xen" and other.device.driver for other in reading.devices)
    exemptions = {
        "listed in [nic] ignore": state.ignored,
        f"reserved for {device.override} by driver_override": bool(device.override),
        "a virtual function of this host's own NIC, for a guest": device.is_virtual_function,
        "the emulated twin of a Xen interface that has one": reading.is_xen and device.identity in _EMULATED_BY_XEN and has_vif,
        f"the host booted less than {BOOT_SECONDS:.0f} s ago": reading.uptime is not None and reading.uptime < BOOT_SECONDS,
        f"it was attached less than {PROBE_SECONDS:.0f} s ago": state.since is not None and 0 <= wall - state.since < PROBE_SECONDS,
    }
    return next((reason for reason, holds in exemptions.items() if holds), "")


def _reason(state: DeviceState, module: DeviceModule, name: str, release: str) -> tuple[str, str]:
    """Return why the module does not drive the device, and the first command."""
    address, buses = state.device.address, state.device.bus
    kernel_log = f"dmesg | grep -e {address} -e {name}" if name else f"dmesg | grep {address}"
    if state.is_loaded or module.state == "built in":
        how = "is built into the kernel" if module.state == "built in" else "is loaded"
        probe = f"{kernel_log} shows why; then: echo {address} > /sys/bus/{buses}/drivers_probe"
        return f"its module {name} {how} but does not drive it (the probe failed, or it was unbound)", probe
    if module.state == "blacklisted":
        return f"its module {name} is blacklisted by {module.detail}", _allow(name, address, module.detail)
    reinstall = f"reinstall the package of kernel {release} (DKMS: dkms autoinstall -k {release}), depmod {release}, modprobe {name}"
    found = {
        "on disk": (f"its module {name} is installed for kernel {release} but not loaded", f"modprobe {name}; if that fails: {kernel_log}"),
        "broken": (f"its module {name} cannot be loaded by kernel {release} ({module.detail})", reinstall),
        "unreadable": (f"could not tell whether kernel {release} has its module ({module.detail})", kernel_log),
    }
    return found.get(module.state) or _missing(module, name, release)


def _allow(name: str, address: str, place: str) -> str:
    """Return the command that loads a blacklisted module, now and at the next boot."""
    if place.startswith("/"):
        undo = f"sed -i '/{name.replace('_', '[-_]')}/s/^/#/' {place} && modprobe {name}"
    else:
        undo = f"take {name} out of {place} (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub), and reboot"
    return f"if it is meant: add {address} to [nic] ignore; else: {undo}"


def _missing(module: DeviceModule, name: str, release: str) -> tuple[str, str]:
    """Return that the running kernel lacks the module, and where it is."""
    if module.elsewhere:
        return f"kernel {release} has no module {name}, kernel {module.elsewhere} has it", _boot(module)
    lacks = f"no installed kernel has its module {name}" if name else "no installed kernel has a module for it"
    install = f"apt-get install linux-modules-extra-{release} (Ubuntu), or reinstall the kernel's package"
    return lacks, f"{install}; without a network: repair the root volume on another instance"


def _boot(module: DeviceModule) -> str:
    """Return the command that boots the other kernel; it needs no network."""
    kernel = module.elsewhere
    if module.boot_tool == "grubby":
        return f"grubby --set-default /boot/vmlinuz-{kernel} && reboot"
    if module.boot_tool and module.menu_entry:
        permanent = f"then remove the kernel without {module.name}"
        return f"{module.boot_tool} '{module.menu_entry}' && reboot, {permanent}"
    return f"boot kernel {kernel}: choose it in the boot menu on the serial console"


def _lost_verdict(lost: LostInterface, reading: NicReading) -> Verdict:
    """Judge an interface that was lost in the reboot, with its device: detached meanwhile, or not on the bus any more."""
    evidence: dict[str, Any] = known_facts({"mac": lost.mac, "bus": lost.bus, "driver_at_last_boot": lost.driver})
    if reading.uptime is not None and reading.uptime < BOOT_SECONDS:
        return Verdict(CHECK, lost.name, Level.HEALTHY, f"not there yet: the host booted less than {BOOT_SECONDS:.0f} s ago", evidence)
    level = Level.WARNING if any(nic.link.physical for nic in reading.nics) else Level.CRITICAL
    driver = f", driver {lost.driver}" if lost.driver else ""
    text = f"{lost.name} ({lost.mac or lost.bus}{driver}) was there before the reboot, and is gone with its device {lost.bus}"
    remediation = (
        f"if it was detached on purpose: add {lost.name} to [nic] ignore (the finding also ends at the next boot); "
        "else: aws ec2 describe-instances shows what is attached, ls /sys/bus/pci/devices what the host sees"
    )
    return Verdict(CHECK, lost.name, level, text, evidence, remediation)
