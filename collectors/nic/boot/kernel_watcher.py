"""Watcher of /lib/modules and /boot, in a thread: a disk that hangs must not block the reading of the interfaces."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from collectors.files import stamp
from collectors.nic.boot.device_modules import MODPROBE_DIRECTORIES, find_device_module
from collectors.nic.boot.initramfs_inspector import InitramfsInspector
from collectors.nic.boot.kernels import read_installed_kernels, releases
from collectors.nic.boot.paths import modules_directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from collectors.files import Stamp
    from collectors.nic.boot.device_modules import DeviceModule
    from collectors.nic.boot.kernels import InstalledKernels

log = logging.getLogger(__name__)

Fingerprint = tuple[tuple[str, "Stamp"], ...]
_LISTS = ("modules.dep", "modules.alias", "modules.builtin")
_PER_KERNEL = ("", *_LISTS, "build", "updates", "updates/dkms", "extra", "weak-updates", "kernel/drivers/net")
_BOOT = ("boot", "boot/grub", "boot/grub/grubenv", "boot/grub/grub.cfg", "boot/grub2/grubenv", "boot/grub2/grub.cfg")
_BOOT_SETTINGS = ("boot/loader/entries", "etc/default/grub", "etc/default/grub.d")
_BOOT_PER_KERNEL = ("vmlinuz-{0}", "initrd.img-{0}", "initramfs-{0}.img")


def fingerprint(root: Path, paths: tuple[str, ...] = ()) -> Fingerprint:
    """Return the stamps of all files that `InstalledKernels` depends on. `paths` are the module files found before."""
    try:
        kernels = releases(root)
    except OSError:
        kernels = []
    directory = modules_directory(root)
    wanted = [*_BOOT, *_BOOT_SETTINGS, *MODPROBE_DIRECTORIES, directory, *paths]
    wanted += [f"{directory}/{kernel}/{part}" for kernel in kernels for part in _PER_KERNEL]
    wanted += [f"boot/{name.format(kernel)}" for kernel in kernels for name in _BOOT_PER_KERNEL]
    return tuple((path, found) for path in wanted if (found := stamp(os.path.join(root, path))) is not None)  # noqa: PTH118 — no Path for each of hundreds


class KernelWatcher:
    """Thread that reads the installed kernels when they change. `latest()` waits for a disk no longer than its `timeout`."""

    def __init__(self, root: Path, machine: str, interval: float, release: str = "", cmdline: str = "") -> None:
        """Watch a root; `machine` is its architecture, empty for a recorded host, whose initramfs is not inspected.

        `release` and `cmdline` are the running kernel's.
        """
        self._root, self._machine, self._interval = root, machine, interval
        self._release, self._cmdline = release, cmdline
        self._drivers: tuple[str, ...] = ()
        self._modaliases: tuple[str, ...] = ()
        self._device_modules: Mapping[str, DeviceModule] = {}
        self._latest: InstalledKernels | None = None
        self._inspector = InitramfsInspector()
        self._wake, self._stop, self._has_read = threading.Event(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def latest(self, drivers: tuple[str, ...], timeout: float = 0.0, modaliases: tuple[str, ...] = ()) -> InstalledKernels | None:
        """Return what was last read for these drivers; None until something was.

        `modaliases` are those of devices without a driver; their modules are then in `device_modules()`.
        """
        if (drivers, modaliases) != (self._drivers, self._modaliases):
            self._drivers, self._modaliases = drivers, modaliases
            self._has_read.clear()
            self._wake.set()
        if self._thread is None and (drivers or modaliases):
            self._thread = threading.Thread(target=self._run, name="vitald-modules", daemon=True)
            self._thread.start()
        if (drivers or modaliases) and timeout:
            self._has_read.wait(timeout)
        return self._latest if drivers else None

    def device_modules(self) -> Mapping[str, DeviceModule]:
        """Return the module of each modalias that was asked for, as far as it was read."""
        return self._device_modules

    def close(self) -> None:
        """End the thread; one that hangs in disk I/O ends with the process."""
        self._stop.set()
        self._wake.set()
        self._inspector.close()

    def _run(self) -> None:
        last: tuple[tuple[str, ...], tuple[str, ...], Fingerprint] | None = None
        while not self._stop.is_set():
            self._wake.clear()
            drivers, modaliases = self._drivers, self._modaliases
            try:
                if (drivers, modaliases, fingerprint(self._root, self._module_paths())) != last:
                    self._device_modules = {
                        modalias: find_device_module(self._root, self._release, modalias, self._cmdline, self._machine)
                        for modalias in modaliases
                    }
                    self._latest = found = read_installed_kernels(self._root, drivers, self._machine)  # before the initramfs is unpacked
                    if found is not None and self._machine:
                        self._latest = self._inspector.inspect(self._root, found, drivers)
                    last = drivers, modaliases, fingerprint(self._root, self._module_paths())
            except Exception:  # the thread must not end: nothing would start another
                log.exception("installed kernels not read")
            self._has_read.set()
            self._wake.wait(self._interval)

    def _module_paths(self) -> tuple[str, ...]:
        kernels = self._latest.kernels if self._latest else ()
        found = ((kernel.release, module.path) for kernel in kernels for module in kernel.modules.values())
        return tuple(f"{modules_directory(self._root)}/{release}/{path}" for release, path in found if path)
