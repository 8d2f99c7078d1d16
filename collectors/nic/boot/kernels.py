"""The installed kernels, and the module of a driver in each: what `modprobe` would load after a reboot. Readable by anyone."""

from __future__ import annotations

import errno
import os
import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from collectors.nic.boot.modinfo import Unreadable, read_modinfo
from collectors.nic.boot.module_lists import OUTSIDE, builtin_version, find_module
from collectors.nic.boot.paths import ctime, modules, mtime, within
from collectors.nic.checks.version import release_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


MOST_KERNELS = 64
_IMAGES = ("boot/vmlinuz-{0}", "boot/vmlinux-{0}", "boot/Image-{0}", "lib/modules/{0}/vmlinuz")
_INITRAMFS = ("boot/initrd.img-{0}", "boot/initramfs-{0}.img", "boot/initrd-{0}")


@dataclass(frozen=True, slots=True)
class Inside:
    """What an initramfs has of one driver. `there` is None where nobody can tell, for which `problem` is the reason."""

    there: bool | None
    version: str = ""
    srcversion: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Module:
    """A driver's module in one kernel.

    `origin`: `in-tree`, `dkms` (or another outside the kernel's tree), `missing`, or empty where we cannot tell.
    `problem` says why a file that is there cannot be used, `unread` why we cannot tell.
    `initramfs`: `absent`, `older` (than the module: it may hold an old copy), `newer`. `inside` is what it holds, looked at only for the
    kernel that boots next.
    """

    driver: str
    kernel: str
    origin: str
    version: str = ""
    srcversion: str = ""
    path: str = ""
    problem: str = ""
    unread: str = ""
    initramfs: str = "absent"
    inside: Inside | None = None


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel under /lib/modules. `headers`: DKMS can build against it; `changed`: Unix time of the last change to its folder."""

    release: str
    bootable: bool
    headers: bool
    changed: float
    modules: Mapping[str, Module] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Disk:
    """What the disk says about the next boot; `chosen` tells where `next_kernel` comes from."""

    kernels: tuple[Kernel, ...] = ()
    next_kernel: str = ""
    chosen: str = ""
    problem: str = ""  # why nothing could be read


def releases(root: Path) -> list[str]:
    """Name the kernels under /lib/modules, oldest first; OSError where that cannot be read."""
    found = [entry.name for entry in os.scandir(root / modules(root)) if entry.is_dir() and re.match(r"\d+\.\d+", entry.name)]
    return sorted(found, key=release_key)[-MOST_KERNELS:]


def read_kernel(root: Path, release: str, drivers: tuple[str, ...], machine: str) -> Kernel:
    """Look at one kernel; a folder that vanishes meanwhile has nothing in it, and has changed now."""
    folder = root / modules(root) / release
    images = [root / image.format(release) for image in _IMAGES]
    found = {driver: read_module(root, release, driver, machine) for driver in drivers}
    around = [(folder / module.path).parent for module in found.values() if module.path]  # removing begins at the leaves
    times = [ctime(path) for path in (folder, folder / "modules.dep", folder / "updates/dkms", *around, *images)]
    return Kernel(
        release,
        bootable=any(os.path.isfile(image) for image in images),  # noqa: PTH113 — Path.is_file raises where we may not look
        headers=os.path.isfile(within(root, f"{modules(root)}/{release}/build") / "Makefile"),  # noqa: PTH113
        changed=max(times) if times[0] else time.time(),
        modules=found,
    )


def read_module(root: Path, release: str, driver: str, machine: str) -> Module:
    """Find the file that modprobe would load, and read it."""
    folder = root / modules(root) / release
    try:
        where = find_module(folder, driver)
        if where is None:
            version = builtin_version(folder, driver)
            return Module(driver, release, "missing") if version is None else Module(driver, release, "in-tree", version)
    except OSError as error:
        return Module(driver, release, "", unread=f"{error.filename}: {error.strerror}")
    found = Module(driver, release, "dkms" if where.split("/")[0] in OUTSIDE else "in-tree", path=where)
    try:
        tags = read_modinfo(within(root, f"{modules(root)}/{release}/{where}"), machine)
    except FileNotFoundError:
        return replace(found, origin="missing", problem=f"modules.dep names {where}, which is not there")
    except OSError as error:
        reason = f"{where}: {error.strerror or error}"
        return replace(found, problem=reason) if error.errno == errno.EINVAL else replace(found, unread=reason)
    except Unreadable as error:
        return replace(found, problem=f"{where}: {error}")
    magic = tags.get("vermagic", "").split(" ")[0]
    foreign = magic != release and not where.startswith("weak-updates/")  # those are meant for several kernels of one ABI
    return replace(
        found,
        version=tags.get("version", ""),
        srcversion=tags.get("srcversion", ""),
        problem=f"{where}: built for kernel {magic}" if foreign else "",
        initramfs=_initramfs(root, release, mtime(folder / where)),
    )


def initramfs_of(root: Path, release: str) -> Path | None:
    """Find a kernel's initramfs; the newest, where there are several."""
    found = max((root / name.format(release) for name in _INITRAMFS), key=mtime)
    return found if mtime(found) else None


def _initramfs(root: Path, release: str, module_changed: float) -> str:
    found = initramfs_of(root, release)
    return "absent" if found is None else "older" if mtime(found) < module_changed else "newer"
