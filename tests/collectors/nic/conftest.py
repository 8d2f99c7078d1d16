"""What the tests of the interfaces share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.collectors.nic.kernel_packages import kernels_root

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def kernels() -> Path:
    """Give a root with two installed kernels: images, modules, modules.dep; read-only by agreement."""
    return kernels_root()
