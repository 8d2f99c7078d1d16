"""The installed kernels, and the module of a driver in each: what `modprobe` would load after a reboot. Readable by anyone."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.nic.files import mtime, read_text
from collectors.nic.modinfo import Unreadable, read_modinfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MOST_KERNELS = 64
_MOST_BYTES = 16 << 20  # of modules.dep; a full kernel's has 1 MB
_OUTSIDE = ("updates", "extra", "weak-updates")  # where DKMS and vendors put theirs (depmod.d(5): before the kernel's own)
_IMAGES = ("boot/vmlinuz-{0}", "boot/vmlinux-{0}", "boot/Image-{0}", "lib/modules/{0}/vmlinuz")
_INITRAMFS = ("boot/initrd.img-{0}", "boot/initramfs-{0}.img", "boot/initrd-{0}")


@dataclass(frozen=True, slots=True)
class Module:
    """A driver's module in one kernel. `origin`: `in-tree`, `dkms` (or another outside the kernel's tree), `missing`.

    `problem` says why a file that is there cannot be used.
    `initramfs`: `absent`, `older` (than the module: it may hold an old copy), `newer`.
    """

    driver: str
    kernel: str
    origin: str
    version: str = ""
    srcversion: str = ""
    path: str = ""
    problem: str = ""
    initramfs: str = "absent"


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


def releases(root: Path) -> list[str]:
    """Name the kernels under /lib/modules; OSError where that cannot be read."""
    found = [entry.name for entry in os.scandir(root / "lib/modules") if entry.is_dir() and re.match(r"\d+\.\d+", entry.name)]
    return sorted(found)[-MOST_KERNELS:]


def read_kernel(root: Path, release: str, drivers: tuple[str, ...], machine: str) -> Kernel:
    """Look at one kernel; a folder that vanishes meanwhile has nothing in it."""
    folder = root / "lib/modules" / release
    images = [root / image.format(release) for image in _IMAGES]
    changed = max((mtime(path) for path in (folder, folder / "modules.dep", folder / "updates/dkms", *images)), default=0.0)
    return Kernel(
        release,
        bootable=any(image.is_file() for image in images),
        headers=(folder / "build/Makefile").is_file(),
        changed=changed,
        modules={driver: read_module(root, release, driver, machine) for driver in drivers},
    )


def read_module(root: Path, release: str, driver: str, machine: str) -> Module:
    """Find the file that modprobe would load, and read it."""
    folder = root / "lib/modules" / release
    where = _listed(folder, driver)
    if where is None:
        where = next(_searched(folder, driver), None)
    if where is None:
        return (
            Module(driver, release, "in-tree", _builtin_version(folder, driver))
            if _builtin(folder, driver)
            else Module(driver, release, "missing")
        )
    path = folder / where
    origin = "dkms" if where.split("/")[0] in _OUTSIDE else "in-tree"
    try:
        tags = read_modinfo(path, machine)
    except FileNotFoundError:
        return Module(driver, release, "missing", path=where, problem=f"modules.dep names {where}, which is not there")
    except (OSError, Unreadable) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        return Module(driver, release, origin, path=where, problem=f"{where}: {reason}")
    magic = tags.get("vermagic", "").split(" ")[0]
    foreign = magic != release and not where.startswith("weak-updates/")  # those are meant for several kernels of one ABI
    return Module(
        driver,
        release,
        origin,
        tags.get("version", ""),
        tags.get("srcversion", ""),
        where,
        f"{where}: built for kernel {magic}" if foreign else "",
        _initramfs(root, release, mtime(path)),
    )


def _name(driver: str) -> str:
    """Make a pattern of a driver's name: modprobe holds - and _ for the same."""
    return "[-_]".join(re.escape(part) for part in re.split("[-_]", driver)) + r"\.ko(?:\.(?:gz|xz|zst))?"


def _listed(folder: Path, driver: str) -> str | None:
    """Ask modules.dep, which is what modprobe goes by (depmod(8))."""
    match = re.search(rf"^((?:\S*/)?{_name(driver)}):", read_text(folder / "modules.dep", _MOST_BYTES), re.MULTILINE)
    return match[1] if match else None


def _searched(folder: Path, driver: str) -> Iterator[str]:
    """Look for the file itself, where no modules.dep names it: depmod has not run yet."""
    if (folder / "modules.dep").is_file():
        return
    pattern = re.compile(_name(driver))
    for part in (*_OUTSIDE, "kernel/drivers/net"):
        for here, _, files in os.walk(folder / part):
            yield from (os.path.relpath(os.path.join(here, name), folder) for name in files if pattern.fullmatch(name))  # noqa: PTH118


def _builtin(folder: Path, driver: str) -> bool:
    return re.search(rf"/{_name(driver)}$", read_text(folder / "modules.builtin", _MOST_BYTES), re.MULTILINE) is not None


def _builtin_version(folder: Path, driver: str) -> str:
    match = re.search(rf"(?:^|\0){re.escape(driver)}\.version=([^\0]*)", read_text(folder / "modules.builtin.modinfo", _MOST_BYTES))
    return match[1] if match else ""


def _initramfs(root: Path, release: str, module_changed: float) -> str:
    times = [mtime(root / name.format(release)) for name in _INITRAMFS]
    newest = max(times)
    return "absent" if newest == 0.0 else "older" if newest < module_changed else "newer"
