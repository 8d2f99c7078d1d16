"""Panels of the NIC collector: interfaces, their queues and rings, and the installed kernels. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.nic.checks.next_boot import describe_initramfs, module_of
from collectors.nic.checks.version import VersionOrigin, version_origin
from collectors.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collectors.netlink.link_details_messages import LinkDetails
    from collectors.nic.boot.kernels import InstalledKernels, Kernel, KernelModule
    from collectors.nic.readers.features import Feature
    from collectors.nic.reading import Nic, NicReading

COLUMNS = ("interface", "driver", "version", "link", "MTU", "offloads on", "off", "statistics")
FEATURES_SHOWN = ("sg", "tso", "gso", "gro", "lro", "rx", "tx")
KERNEL_COLUMNS = ("kernel", "", "version", "from", "headers", "initramfs")
QUEUE_COLUMNS = ("interface", "alternative names", "master", "channels", "ring rx/tx", "queueing", "dropped")
DROP_COUNTERS = ("rx_dropped", "tx_dropped", "rx_missed_errors", "rx_fifo_errors")


def panels(reading: NicReading) -> Iterator[Panel]:
    """Return the table of interfaces, those with a device first, that of queues and rings, and one of kernels for each driver."""
    nics = sorted(reading.nics, key=lambda nic: (not nic.link.physical, nic.link.name))
    notes = (f"{reading.skipped} more interfaces are not read",) if reading.skipped else ()
    if nics:
        yield Panel("Network interfaces", COLUMNS, tuple(_interface(nic, reading.release) for nic in nics), notes=notes)
    yield from queue_panels(reading.link_details)
    if reading.installed is not None:
        for driver in sorted({module_of(nic) for nic in nics if nic.link.physical}):
            yield from _kernels(driver, reading.installed, reading.release)


def queue_panels(links: Mapping[str, LinkDetails]) -> Iterator[Panel]:
    """Return the table of queues and rings, those with most drops first; nothing without links."""
    if links:
        worst_first = sorted(links.values(), key=lambda link: (-sum(_drops(link).values()), link.name))
        yield Panel("Queues and rings", QUEUE_COLUMNS, tuple(_queues(link) for link in worst_first))


def _interface(nic: Nic, release: str) -> tuple[str, ...]:
    link, driver = nic.link, nic.driver
    features = {name: nic.features[name] for name in FEATURES_SHOWN if name in nic.features}
    on = " ".join(name for name, state in features.items() if state.active)
    off = ", ".join(f"{name}{_note(state)}" for name, state in features.items() if not state.active)
    up = "down" if not link.up else "no carrier" if link.carrier is False else "up"
    version = _version(driver.version, release) if driver else ""
    return link.name, nic.driver_name or "unknown", version, up, str(link.mtu or ""), on, off, _statistics(nic)


def _note(state: Feature) -> str:
    return " [fixed]" if state.fixed else " [requested on]" if state.requested else ""


def _version(version: str, release: str) -> str:
    """Return the driver's version, `in-tree` in place of the kernel's release."""
    return "in-tree" if version_origin(version, release) in {VersionOrigin.KERNEL, VersionOrigin.NONE} else version


def _statistics(nic: Nic) -> str:
    counters = nic.counters
    parts = [f"{name} exceeded {count}" for name, count in counters.allowances.items() if count]
    parts += [f"{counters.conntrack_available} connections left"] if counters.conntrack_available is not None else []
    parts += [f"{reason} {count}" for reason, count in counters.resets.items() if count]
    return ", ".join(parts)


def _queues(link: LinkDetails) -> tuple[str, ...]:
    kinds = list(dict.fromkeys(queue.kind for queue in link.queues))
    channels = str(link.channels[0]) + _maximum(link.channels) if link.channels else f"{link.rx_queues}/{link.tx_queues}"
    rings = "/".join(f"{ring[0]}{_maximum(ring)}" if ring else "?" for ring in (link.rx_ring, link.tx_ring))
    backlog = sum(queue.backlog for queue in link.queues)
    queueing = ", ".join(kinds) + (f" ({backlog} B now)" if backlog else "") + (", XDP" if link.xdp else "")
    drops = ", ".join(f"{name} {count}" for name, count in _drops(link).items() if count)
    return link.name, ", ".join(link.alternative_names), link.master, channels, "" if rings == "?/?" else rings, queueing, drops


def _maximum(pair: tuple[int, int]) -> str:
    return f" of {pair[1]}" if pair[0] != pair[1] else ""


def _drops(link: LinkDetails) -> dict[str, int]:
    return {"queue": sum(queue.dropped for queue in link.queues), **{name: link.statistics.get(name, 0) for name in DROP_COUNTERS}}


def _kernels(driver: str, installed: InstalledKernels, release: str) -> Iterator[Panel]:
    found = [(kernel, kernel.modules[driver]) for kernel in installed.kernels[::-1] if driver in kernel.modules]
    if found:
        rows = tuple(_kernel(kernel, module, installed, release) for kernel, module in found)
        note = f"boots next: {installed.next_kernel}, {installed.chosen_by}"
        yield Panel(f"{driver} in each installed kernel", KERNEL_COLUMNS, rows, notes=(note,))


def _kernel(kernel: Kernel, module: KernelModule, installed: InstalledKernels, release: str) -> tuple[str, ...]:
    states = (("running", kernel.release == release), ("boots next", kernel.release == installed.next_kernel))
    state = ", ".join(name for name, applies in states if applies)
    origin = "cannot be used" if module.problem and module.path and module.origin != "missing" else module.origin or "unknown"
    version = module.version or ("" if module.origin == "missing" else "in-tree")
    return kernel.release, state, version, origin, "yes" if kernel.headers else "no", describe_initramfs(module)
