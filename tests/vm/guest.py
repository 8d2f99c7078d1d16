"""Guests of qemu on Debian: a debootstrap root, kernels of several suites, and a boot that ends with the guest's power-off.

No KVM is needed (TCG). Image and packages are kept under VITALD_VM_CACHE (/tmp/vm), outside the checkout. Needs root, and Debian's
`qemu-system-x86 debootstrap e2fsprogs`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CACHE = Path(os.environ.get("VITALD_VM_CACHE", "/tmp/vm"))
ROOT = CACHE / "bookworm"
PACKAGES = "systemd,systemd-sysv,udev,dbus,python3,kmod,initramfs-tools,util-linux,linux-image-amd64"
SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}  # the kernel that each suite has
SOURCES = "".join(f"deb http://deb.debian.org/debian {suite} main\n" for suite in SUITES.values())
PINS = "".join(f"Package: *\nPin: release n={suite}\nPin-Priority: 50\n\n" for suite in SUITES.values() if suite != "bookworm")


def run(*words: str | Path) -> None:
    """Run a program."""
    subprocess.run(words, check=True)


def prepare_root() -> Path:
    """Make the guests' file system, with APT sources of every suite; once."""
    if not (ROOT / "etc/apt/preferences.d/suites").exists():
        if not (ROOT / "usr/bin/python3").exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", ROOT)
        (ROOT / "etc/apt/sources.list").write_text(SOURCES)
        (ROOT / "etc/apt/preferences.d/suites").write_text(PINS)
        shutil.copy("/etc/resolv.conf", ROOT / "etc/resolv.conf")
        run("chroot", ROOT, "apt-get", "update", "-qq")
    return ROOT


def prepare_kernel(version: str, flavour: str = "amd64") -> tuple[Path, Path]:
    """Unpack a suite's newest kernel into the root, and make its initramfs; return both files. `flavour` is `amd64` or `cloud-amd64`."""
    boot = ROOT / "boot"
    pattern = f"vmlinuz-{version}.*[0-9]-{flavour}"
    if not list(boot.glob(pattern)):
        words = ["chroot", str(ROOT), "apt-cache", "depends", f"linux-image-{flavour}/{SUITES[version]}"]
        listing = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        package = next(line.split()[1] for line in listing.splitlines() if line.split()[:1] == ["Depends:"])
        unpack = f"apt-get download -qq {package} && dpkg -x {package}_*.deb new"  # not into /: dpkg -x replaces the link /lib by a folder
        copy = "mkdir -p /usr/lib && cp -a new/boot / && cp -a $(ls -d new/usr/lib new/lib 2>/dev/null)/. /usr/lib"
        run("chroot", ROOT, "sh", "-ec", f"mkdir /tmp/k && cd /tmp/k && {unpack} && {copy} && rm -r /tmp/k")
    image = max(boot.glob(pattern))
    release = image.name.removeprefix("vmlinuz-")
    initrd = boot / f"initrd.img-{release}"
    if not initrd.exists():
        run("chroot", ROOT, "depmod", release)
        run("chroot", ROOT, "update-initramfs", "-c", "-k", release)
    return image, initrd


def make_disk(name: str, files: Sequence[Path] = ()) -> Path:
    """Put the root, with some files in its top folder, into an ext4 image."""
    for file in files:
        shutil.copy(file, ROOT / file.name)
    disk = empty_disk(name, 4096)
    run("mkfs.ext4", "-q", "-d", ROOT, disk)
    return disk


def empty_disk(name: str, mebibytes: int) -> Path:
    """Make a sparse disk image."""
    disk = CACHE / name
    disk.unlink(missing_ok=True)
    run("truncate", "-s", f"{mebibytes}M", disk)
    return disk


def boot(files: tuple[Path, Path], disks: Sequence[Path], command_line: str, *more: str, mebibytes: int = 1024, seconds: int = 900) -> str:
    """Boot a kernel and its initramfs, and wait until the guest is off; return its console.

    The first disk is the root (/dev/vda), whose changes are thrown away; the others (/dev/vdb, …) keep what is written. `command_line` is
    the kernel's, after `root=` and `console=`; `more` are arguments of qemu. Raises `subprocess.TimeoutExpired`.
    """
    words = [
        "qemu-system-x86_64",
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        str(mebibytes),
        "-nographic",
        "-no-reboot",
    ]
    words += ["-kernel", str(files[0]), "-initrd", str(files[1]), "-append", f"root=/dev/vda rw console=ttyS0 panic=-1 {command_line}"]
    for number, disk in enumerate(disks):
        words += ["-drive", f"file={disk},if=virtio,format=raw,snapshot={'off' if number else 'on'}"]
    words += more or ("-nic", "none")
    done = subprocess.run(words, check=True, timeout=seconds, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    return done.stdout
