"""Kernel modules hidden by the unit's sandbox or by permissions."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.nic.boot.kernels import releases
from tests.kit.nic_lab import ENVIRONMENT, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator


UNPRIVILEGED = """
import os, sys, time
from pathlib import Path
from collectors.nic.boot.kernels import read_installed_kernels
from collectors.nic.checks.next_boot import next_boot_verdicts
from collectors.nic.reading import NicReading
from tests.kit.kernel_packages import MACHINE
from tests.collectors.nic.checks.test_next_boot import nic
import encodings.idna, lzma, zlib
os.setgroups([]); os.setresgid(54321, 54321, 54321); os.setresuid(54321, 54321, 54321)
installed = read_installed_kernels(Path(sys.argv[1]), ("ixgbevf",), MACHINE)
(verdict,) = next_boot_verdicts(NicReading(time.time() + 3600, sys.argv[2], (nic(),), installed=installed))
print(int(verdict.level), verdict.message, verdict.evidence.get("chosen_by", ""), sep="|")
"""


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user may enter: pytest makes its own private."""
    with tempfile.TemporaryDirectory(prefix="vnic", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.root
@pytest.mark.fault(13)
def test_in_the_units_sandbox_modules_are_read_under_another_name(host: Path, public: Path) -> None:
    newest, root = releases(host)[-1], public / "host"
    shutil.copytree(host, root)
    root.chmod(0o755)
    shutil.copytree(root / "lib/modules", root / "run/vitald-modules")
    (root / "lib/modules").chmod(0)
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, root, newest], cwd=REPOSITORY, check=True, capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.stdout == "0||the newest installed\n"


@pytest.mark.root
@pytest.mark.fault(13)
@pytest.mark.parametrize(
    ("closed", "level", "text"),
    [
        ("lib/modules", 1, "could not tell the driver after the next boot: {root}/lib/modules: Permission denied"),
        (
            "lib/modules/{newest}",
            1,
            "could not tell whether the next kernel {newest} has ixgbevf: {root}/lib/modules/{newest}/mod",
        ),
        ("lib/modules/{newest}/kernel", 1, "could not tell whether the next kernel {newest} has ixgbevf: kernel/drivers"),
        ("boot/grub2", 0, "|the newest installed, since /boot/grub2/grubenv may not be read"),
    ],
)
def test_what_may_not_be_read_is_reported_and_is_no_missing_driver(host: Path, public: Path, closed: str, level: int, text: str) -> None:
    newest, root = releases(host)[-1], public / "host"
    shutil.copytree(host, root)
    root.chmod(0o755)
    (root / "boot/grub2").mkdir()
    (root / closed.format(newest=newest)).chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, root, newest], cwd=REPOSITORY, check=True, capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.stdout.startswith(f"{level}|")
    assert text.format(root=root, newest=newest) in done.stdout
