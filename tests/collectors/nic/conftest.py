"""Fixtures of the NIC tests."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from collectors.nic.boot.kernels import releases
from tests.kit.kernel_packages import MODULES, kernels_root
from tests.kit.nic_lab import namespace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kit.nic_lab import Namespace


@pytest.fixture(scope="session")
def kernels() -> Path:
    """A root with two installed kernels: images, modules, modules.dep; tests must not write to it."""
    return kernels_root()


@pytest.fixture
def host(kernels: Path, tmp_path: Path) -> Path:
    """A private root with both kernels: only their NIC modules and lists are copied."""
    for release in releases(kernels):
        for module in MODULES.values():
            target = tmp_path / "lib/modules" / release / module
            target.parent.mkdir(parents=True, exist_ok=True)
            if (kernels / "lib/modules" / release / module).exists():
                shutil.copy2(kernels / "lib/modules" / release / module, target)
        for name in ("modules.dep", "modules.builtin"):
            shutil.copy2(kernels / "lib/modules" / release / name, tmp_path / "lib/modules" / release / name)
        (tmp_path / "boot").mkdir(exist_ok=True)
        (tmp_path / f"boot/vmlinuz-{release}").write_bytes(b"kernel")
    return tmp_path


@pytest.fixture
def lab() -> Iterator[Namespace]:
    with namespace() as created:
        yield created
