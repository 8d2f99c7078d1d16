"""Two real kernels from Debian's packages, unpacked once into a cache outside the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MODULES = {
    "ena": "kernel/drivers/net/ethernet/amazon/ena/ena.ko",
    "ixgbevf": "kernel/drivers/net/ethernet/intel/ixgbevf/ixgbevf.ko",
    "xen_netfront": "kernel/drivers/net/xen-netfront.ko",
}
MACHINE = os.uname().machine
CACHE = Path(os.environ.get("VITALD_LAB_CACHE", "/var/cache/vitald-lab"))


def kernels_root() -> Path:
    """Return a root with two installed kernels: images, modules, modules.dep; callers must not write to it."""
    root = CACHE / "nic-kernels"
    if not (root / "ready").exists():
        if not all(shutil.which(program) for program in ("apt-get", "dpkg", "depmod")):
            if os.environ.get("VITALD_TESTS_SKIP_NOTHING"):
                pytest.fail("apt-get, dpkg and depmod (apt-get install kmod) are needed to fetch two kernels")
            pytest.skip("needs apt-get, dpkg and depmod (apt-get install kmod) to fetch two of Debian's kernels")
        try:
            _fetch(root)
        except (subprocess.CalledProcessError, OSError, IndexError) as error:
            if os.environ.get("VITALD_TESTS_SKIP_NOTHING"):
                raise
            pytest.skip(f"Debian's kernel packages cannot be fetched: {error}")
    return root


def _fetch(root: Path) -> None:
    """Download the two newest cloud kernels in apt's index and unpack them."""
    listed = subprocess.run(
        ["apt-cache", "search", "--names-only", r"^linux-image-6\.1\.0-[0-9]+-cloud-(amd64|arm64)$"],
        check=True,
        capture_output=True,
        text=True,
    )
    names = sorted((line.split()[0] for line in listed.stdout.splitlines()), key=lambda name: int(name.split("-")[3]))[-2:]
    staging = root.with_name(f"{root.name}.{os.getpid()}")
    staging.mkdir(parents=True)
    try:
        for name in (names[0], names[1]):
            subprocess.run(["apt-get", "download", "-qq", name], cwd=staging, check=True, capture_output=True)
        for package in sorted(staging.glob("*.deb")):
            subprocess.run(["dpkg", "-x", package, staging / "unpacked"], check=True)
            package.unlink()
        unpacked = staging / "unpacked"
        for folder in (unpacked / "lib/modules").iterdir():
            subprocess.run(
                ["depmod", "-b", unpacked, folder.name], check=True, env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
            )
        (unpacked / "ready").touch()
        if not root.exists():
            unpacked.rename(root)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
