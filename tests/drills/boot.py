"""A host with an ENA interface and one of Debian's kernels installed: recorded where this machine has no such thing, real modules else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.kit.kernel_packages import MODULES, kernels_root

HOST = Path(__file__).parents[2] / "tests/collectors/nic/hosts/ena-in-tree"
MODULE = MODULES["ena"]


class Boot:
    """The host's disk: the kernel it runs on, and sometimes a newer one."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        shutil.copytree(HOST, self.root, symlinks=True)
        packages = kernels_root()
        self._old, self._new = sorted(entry.name for entry in (packages / "lib/modules").iterdir())
        self._packages = packages
        self._install(self._old)

    def _install(self, release: str) -> None:
        modules = f"lib/modules/{release}"
        for name in ("modules.builtin", "modules.order", MODULE):
            (self.root / modules / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._packages / modules / name, self.root / modules / name)
        (self.root / "boot").mkdir(exist_ok=True)
        shutil.copyfile(self._packages / f"boot/vmlinuz-{release}", self.root / f"boot/vmlinuz-{release}")
        self._depmod(release)

    def _depmod(self, release: str) -> None:
        subprocess.run(["/usr/sbin/depmod", "-b", str(self.root), release], check=True, capture_output=True)

    def install_without_module(self) -> None:
        """Install the newer kernel, and lose its module of the driver that is in use."""
        self._install(self._new)
        (self.root / f"lib/modules/{self._new}" / MODULE).unlink()
        self._depmod(self._new)

    def reinstall(self) -> None:
        """Install it again, whole."""
        self._install(self._new)
