"""Installed kernels, and the module of a driver in each: what modprobe would load after a reboot. Readable by anyone."""

from __future__ import annotations

import errno
import os
import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from collectors.nic.boot.boot_loader import next_kernel
from collectors.nic.boot.modinfo import InvalidModule, read_modinfo
from collectors.nic.boot.module_lists import OUT_OF_TREE, builtin_version, find_module
from collectors.nic.boot.paths import ctime, modules_directory, mtime, resolve_in_root
from collectors.nic.checks.version import release_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


MAX_KERNELS = 64
_IMAGES = ("boot/vmlinuz-{0}", "boot/vmlinux-{0}", "boot/Image-{0}", "lib/modules/{0}/vmlinuz")
_INITRAMFS = ("boot/initrd.img-{0}", "boot/initramfs-{0}.img", "boot/initrd-{0}")


@dataclass(frozen=True, slots=True)
class InitramfsModule:
    """A driver's module in an initramfs. `present` is None where that is unknown, for the reason `problem`."""

    present: bool | None
    version: str = ""
    srcversion: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class KernelModule:
    """A driver's module in one kernel.

    `origin`: `in-tree`, `dkms` (or another out-of-tree one), `missing`, or empty where it is unknown.
    `problem` is why an existing file cannot be used, `unreadable` why the origin is unknown.
    `initramfs`: `absent`, `older` (than the module: it may contain an old copy), `newer`. `packed` is the module in it, read only for the
    kernel that boots next.
    """

    driver: str
    kernel: str
    origin: str
    version: str = ""
    srcversion: str = ""
    path: str = ""
    problem: str = ""
    unreadable: str = ""
    initramfs: str = "absent"
    packed: InitramfsModule | None = None


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel under /lib/modules. `headers`: DKMS can build for it; `changed`: Unix time of the last change to its files."""

    release: str
    bootable: bool
    headers: bool
    changed: float
    modules: Mapping[str, KernelModule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InstalledKernels:
    """The kernels on disk; `chosen_by` is the source of `next_kernel`, `problem` the reason where nothing could be read."""

    kernels: tuple[Kernel, ...] = ()
    next_kernel: str = ""
    chosen_by: str = ""
    problem: str = ""


def releases(root: Path) -> list[str]:
    """Return the kernels under /lib/modules, oldest first. Raises OSError where that cannot be read."""
    entries = os.scandir(root / modules_directory(root))
    found = [entry.name for entry in entries if entry.is_dir() and re.match(r"\d+\.\d+", entry.name)]
    return sorted(found, key=release_key)[-MAX_KERNELS:]


def read_installed_kernels(root: Path, drivers: tuple[str, ...], machine: str) -> InstalledKernels | None:
    """Read kernels, modules and the boot menu; None where /lib/modules is absent or empty: a container."""
    try:
        found = releases(root)
    except FileNotFoundError:
        return None
    except OSError as error:
        return InstalledKernels(problem=f"{error.filename}: {error.strerror}")
    kernels = tuple(read_kernel(root, release, drivers, machine) for release in found)
    bootable = [kernel.release for kernel in kernels if kernel.bootable] or [kernel.release for kernel in kernels]
    return InstalledKernels(kernels, *next_kernel(root, bootable)) if kernels else None


def read_kernel(root: Path, release: str, drivers: tuple[str, ...], machine: str) -> Kernel:
    """Read one kernel; a directory that vanishes meanwhile is empty, and has changed now."""
    directory = root / modules_directory(root) / release
    images = [root / image.format(release) for image in _IMAGES]
    found = {driver: read_module(root, release, driver, machine) for driver in drivers}
    parents = [(directory / module.path).parent for module in found.values() if module.path]  # removal begins at the leaves
    times = [ctime(path) for path in (directory, directory / "modules.dep", directory / "updates/dkms", *parents, *images)]
    return Kernel(
        release,
        bootable=any(os.path.isfile(image) for image in images),  # noqa: PTH113 — Path.is_file raises without permission
        headers=os.path.isfile(resolve_in_root(root, f"{modules_directory(root)}/{release}/build") / "Makefile"),  # noqa: PTH113
        changed=max(times) if times[0] else time.time(),
        modules=found,
    )


def read_module(root: Path, release: str, driver: str, machine: str) -> KernelModule:
    """Find the file that modprobe would load, and read it."""
    directory = root / modules_directory(root) / release
    try:
        if (path := find_module(directory, driver)) is None:
            version = builtin_version(directory, driver)
            return KernelModule(driver, release, "missing") if version is None else KernelModule(driver, release, "in-tree", version)
    except OSError as error:
        return KernelModule(driver, release, "", unreadable=f"{error.filename}: {error.strerror}")
    module = KernelModule(driver, release, "dkms" if path.split("/")[0] in OUT_OF_TREE else "in-tree", path=path)
    try:
        tags = read_modinfo(resolve_in_root(root, f"{modules_directory(root)}/{release}/{path}"), machine)
    except FileNotFoundError:
        return replace(module, origin="missing", problem=f"modules.dep lists {path}, which does not exist")
    except OSError as error:
        reason = f"{path}: {error.strerror or error}"
        return replace(module, problem=reason) if error.errno == errno.EINVAL else replace(module, unreadable=reason)
    except InvalidModule as error:
        return replace(module, problem=f"{path}: {error}")
    vermagic = tags.get("vermagic", "").split(" ")[0]
    is_foreign = vermagic != release and not path.startswith("weak-updates/")  # those are for several kernels of one ABI
    return replace(
        module,
        version=tags.get("version", ""),
        srcversion=tags.get("srcversion", ""),
        problem=f"{path}: built for kernel {vermagic}" if is_foreign else "",
        initramfs=_initramfs_state(root, release, mtime(directory / path)),
    )


def initramfs_of(root: Path, release: str) -> Path | None:
    """Return a kernel's initramfs; the newest where there are several."""
    found = max((root / name.format(release) for name in _INITRAMFS), key=mtime)
    return found if mtime(found) else None


def _initramfs_state(root: Path, release: str, module_changed: float) -> str:
    found = initramfs_of(root, release)
    return "absent" if found is None else "older" if mtime(found) < module_changed else "newer"
