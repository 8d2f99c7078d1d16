"""Watcher of the installed kernels: when they are read again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from collectors.nic.boot.kernel_watcher import KernelWatcher, fingerprint
from collectors.nic.boot.kernels import releases
from tests.kit.kernel_packages import MACHINE, MODULES

if TYPE_CHECKING:
    from pathlib import Path


def test_the_fingerprint_changes_with_the_files(host: Path) -> None:
    before = fingerprint(host)
    assert fingerprint(host) == before
    (host / "boot/grub").mkdir()
    assert fingerprint(host) != before


def test_a_change_is_read_without_a_timeout(host: Path) -> None:
    watcher = KernelWatcher(host, MACHINE, 0.05)
    try:
        first = watcher.latest(("ixgbevf",), 10.0)
        assert first is not None
        newest = releases(host)[-1]
        (host / "lib/modules" / newest / MODULES["ixgbevf"]).unlink()
        deadline = time.monotonic() + 20
        while (changed := watcher.latest(("ixgbevf",))) is first and time.monotonic() < deadline:
            time.sleep(0.02)
        assert changed is not None
        assert next(k for k in changed.kernels if k.release == newest).modules["ixgbevf"].origin == "missing"
    finally:
        watcher.close()
