"""Watches /lib/modules and /boot from a thread of its own: a disk that hangs must not hang the look at the interfaces."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from collectors.files import stamp
from collectors.nic.boot.boot_loader import next_kernel
from collectors.nic.boot.initramfs_inspector import Contents
from collectors.nic.boot.kernels import Disk, read_kernel, releases
from collectors.nic.boot.paths import modules

if TYPE_CHECKING:
    from pathlib import Path

    from collectors.files import Stamp

log = logging.getLogger(__name__)

Signature = tuple[tuple[str, "Stamp"], ...]
_PER_KERNEL = ("", "modules.dep", "modules.builtin", "build", "updates", "updates/dkms", "extra", "weak-updates", "kernel/drivers/net")
_BOOT = ("boot", "boot/grub", "boot/grub/grubenv", "boot/grub/grub.cfg", "boot/grub2/grubenv", "boot/grub2/grub.cfg")
_MORE = ("boot/loader/entries", "etc/default/grub", "etc/default/grub.d")
_KERNELS_FILES = ("vmlinuz-{0}", "initrd.img-{0}", "initramfs-{0}.img")


def signature(root: Path, paths: tuple[str, ...] = ()) -> Signature:
    """Fingerprint what the answer depends on: it is read again only when this changes. `paths` are the module files found before."""
    try:
        kernels = releases(root)
    except OSError:
        kernels = []
    here = modules(root)
    wanted = [*_BOOT, *_MORE, here, *(f"{here}/{kernel}/{part}" for kernel in kernels for part in _PER_KERNEL), *paths]
    wanted += [f"boot/{name.format(kernel)}" for kernel in kernels for name in _KERNELS_FILES]
    return tuple((path, found) for path in wanted if (found := stamp(os.path.join(root, path))) is not None)  # noqa: PTH118 — no Path for each of hundreds


def look(root: Path, drivers: tuple[str, ...], machine: str) -> Disk | None:
    """Read kernels, modules and the boot menu; None where there is no /lib/modules or nothing in it: a container."""
    try:
        found = releases(root)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Disk(problem=f"{error.filename}: {error.strerror}")
    kernels = tuple(read_kernel(root, release, drivers, machine) for release in found)
    bootable = [kernel.release for kernel in kernels if kernel.bootable] or [kernel.release for kernel in kernels]
    return Disk(kernels, *next_kernel(root, bootable)) if kernels else None


class DiskWatch:
    """Holds the newest answer. `ask()` never waits for a disk, except that the first may wait a moment for the first answer."""

    def __init__(self, root: Path, machine: str, interval: float) -> None:
        self._root, self._machine, self._interval = root, machine, interval
        self._drivers: tuple[str, ...] = ()
        self._answer: Disk | None = None
        self._contents = Contents()
        self._wake, self._stop, self._answered = threading.Event(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def ask(self, drivers: tuple[str, ...], patience: float = 0.0) -> Disk | None:
        """Give what was last read for these drivers; None until something was."""
        if drivers != self._drivers:
            self._drivers = drivers
            self._answered.clear()
            self._wake.set()
        if self._thread is None and drivers:
            self._thread = threading.Thread(target=self._run, name="vitald-modules", daemon=True)
            self._thread.start()
        if drivers and patience:
            self._answered.wait(patience)
        return self._answer if drivers else None

    def close(self) -> None:
        """End the thread; one that hangs in a dead disk is left to die with the process."""
        self._stop.set()
        self._wake.set()
        self._contents.close()

    def _run(self) -> None:
        known: tuple[tuple[str, ...], Signature] | None = None
        while not self._stop.is_set():
            self._wake.clear()
            drivers = self._drivers
            try:
                now = drivers, signature(self._root, self._paths())
                if now != known:
                    self._answer = found = look(self._root, drivers, self._machine)  # seen before the initramfs is unpacked
                    if found is not None and self._machine:
                        self._answer = self._contents.added(self._root, found, drivers)
                    known = drivers, signature(self._root, self._paths())
            except Exception:  # the thread must not end: there would be no second look
                log.exception("cannot read the installed kernels")
            self._answered.set()
            self._wake.wait(self._interval)

    def _paths(self) -> tuple[str, ...]:
        kernels = self._answer.kernels if self._answer else ()
        return tuple(
            f"{modules(self._root)}/{kernel.release}/{module.path}"
            for kernel in kernels
            for module in kernel.modules.values()
            if module.path
        )
