"""What the tests share: who may run, and on which real parts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from collectors.disk import DiskTask

settings.register_profile("vitald", deadline=None)  # a test never asserts a time: the machine is shared
settings.load_profile("vitald")

PACKAGES = {  # program → Debian package, so that a skip says what to install
    "make": "make",
    "ip": "iproute2",
    "ethtool": "ethtool",
    "dhclient": "isc-dhcp-client",
    "tc": "iproute2",
    "nft": "nftables",
    "dnsmasq": "dnsmasq-base",
    "promtool": "prometheus",
    "zstd": "zstd",
    "cpio": "cpio",
    "gzip": "gzip",
    "xz": "xz-utils",
    "bzip2": "bzip2",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "faketime": "faketime",
    "systemd-nspawn": "systemd-container",
    "systemd-analyze": "systemd",
    "debootstrap": "debootstrap",
    "openssl": "openssl",
    "curl": "curl",
    "setpriv": "util-linux",
    "nsenter": "util-linux",
    "systemd-sysusers": "systemd",
    "systemd-tmpfiles": "systemd",
    "stress-ng": "stress-ng",
    "chromium": "chromium",
    "npm": "npm",
    "ping": "iputils-ping",
    "arping": "iputils-arping",
    "lsof": "lsof",
}


@pytest.fixture(autouse=True)
def patient_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait thirty times as long for disks, which do not hang here, on a busy machine. Daemons are processes of their own."""
    ended = DiskTask.ended
    monkeypatch.setattr(DiskTask, "ended", lambda self, seconds=0.0: ended(self, 30 * seconds))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what this user or this machine cannot run. Under `VITALD_TESTS_SKIP_NOTHING` (CI) it runs, and fails."""
    for item in items:
        if any(Path(item.fspath).is_relative_to(Path(__file__).parent / folder) for folder in ("e2e", "soak")):
            item.add_marker("e2e")
        if os.environ.get("VITALD_TESTS_SKIP_NOTHING"):
            continue
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))
        missing = [p for mark in item.iter_markers("needs") for p in mark.args if not shutil.which(p, path=_path())]
        if missing:
            names = ", ".join(f"{p} (apt-get install {PACKAGES.get(p, p)})" for p in missing)
            item.add_marker(pytest.mark.skip(reason=f"needs {names}"))


def _path() -> str:
    """PATH with the folders where Debian keeps what only root uses."""
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
