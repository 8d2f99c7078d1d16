"""The interfaces, and the kernels that could boot next, as tables that people read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.nic.checks.next_boot import initramfs, module_of
from collectors.nic.checks.version import Shape, shape
from collectors.nic.readers import link_details as depth
from collectors.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.nic.boot.kernels import Disk, Kernel, Module
    from collectors.nic.readers.features import Feature
    from collectors.nic.reading import Nic, Reading

COLUMNS = ("interface", "driver", "version", "link", "MTU", "offloads on", "off", "statistics")
SHOWN = ("sg", "tso", "gso", "gro", "lro", "rx", "tx")
KERNEL_COLUMNS = ("kernel", "", "version", "from", "headers", "initramfs")


def panels(reading: Reading) -> Iterator[Panel]:
    """Give the table of interfaces, those with a device behind them first, and that of installed kernels where there are any."""
    nics = sorted(reading.nics, key=lambda nic: (not nic.link.physical, nic.link.name))
    notes = (f"{reading.unread} more interfaces are not looked at",) if reading.unread else ()
    if nics:
        yield Panel("Network interfaces", COLUMNS, tuple(_interface(nic, reading.release) for nic in nics), notes=notes)
    yield from depth.panels(reading.depth)
    if reading.disk is not None:
        for driver in sorted({module_of(nic) for nic in nics if nic.link.physical}):
            yield from _kernels(driver, reading.disk, reading.release)


def _kernels(driver: str, disk: Disk, release: str) -> Iterator[Panel]:
    found = [(kernel, kernel.modules[driver]) for kernel in disk.kernels[::-1] if driver in kernel.modules]
    if found:
        rows = tuple(_kernel(kernel, module, disk, release) for kernel, module in found)
        chosen = f"boots next: {disk.next_kernel}, {disk.chosen}"
        yield Panel(f"{driver} in each installed kernel", KERNEL_COLUMNS, rows, notes=(chosen,))


def _interface(nic: Nic, release: str) -> tuple[str, ...]:
    link, driver = nic.link, nic.driver
    known = {name: nic.features[name] for name in SHOWN if name in nic.features}
    on = " ".join(name for name, state in known.items() if state.active)
    off = ", ".join(f"{name}{_why(state)}" for name, state in known.items() if not state.active)
    up = "down" if not link.up else "no carrier" if link.carrier is False else "up"
    version = _version(driver.version, release) if driver else ""
    return link.name, nic.driver_name or "unknown", version, up, str(link.mtu or ""), on, off, _said(nic)


def _why(state: Feature) -> str:
    return " [fixed]" if state.fixed else " [requested on]" if state.requested else ""


def _version(version: str, release: str) -> str:
    """Write a version so that nobody takes the kernel's release for the driver's."""
    return "the kernel's own" if shape(version, release) in {Shape.KERNEL, Shape.NONE} else version


def _said(nic: Nic) -> str:
    counters = nic.counters
    parts = [f"{name} exceeded {count}" for name, count in counters.allowances.items() if count]
    parts += [f"{counters.available} connections left"] if counters.available is not None else []
    parts += [f"{reason} {count}" for reason, count in counters.resets.items() if count]
    return ", ".join(parts)


def _kernel(kernel: Kernel, module: Module, disk: Disk, release: str) -> tuple[str, ...]:
    words = [word for word, right in (("running", kernel.release == release), ("boots next", kernel.release == disk.next_kernel)) if right]
    origin = "cannot be used" if module.problem and module.path and module.origin != "missing" else module.origin or "cannot tell"
    version = module.version or ("" if module.origin == "missing" else "the kernel's own")
    return kernel.release, ", ".join(words), version, origin, "yes" if kernel.headers else "no", initramfs(module)
