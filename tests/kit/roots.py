"""What containers boot and install from, created once per machine and cached: a Debian root, and wheels for its Python.

VITALD_LAB_CACHE    where both are kept (/var/cache/vitald-lab)
VITALD_LAB_SUITE    which Debian (bookworm)
VITALD_LAB_MIRROR   where debootstrap finds it (its own default)
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("VITALD_LAB_CACHE", "/var/cache/vitald-lab"))
SUITE = os.environ.get("VITALD_LAB_SUITE", "bookworm")
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,make,iproute2,rsyslog,logrotate,kmod,procps"


class LabError(Exception):
    """The lab could not be set up; the message says why."""


def root() -> Path:
    """Return a Debian root of `SUITE` with `PACKAGES`; the first call on a machine makes it, in about a minute."""
    name = f"{SUITE}-{hashlib.sha256(PACKAGES.encode()).hexdigest()[:8]}"
    return _cached(name, _debootstrap)


def wheels() -> Path:
    """Return a folder with every wheel of requirements.lock for the root's Python, so that pip needs no network inside."""
    python = next((root() / "usr/bin").glob("python3.[0-9]*")).name.removeprefix("python")
    lock = CHECKOUT / "requirements.lock"
    name = f"wheels-{python}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:8]}"

    def download(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        _must([*pip, "--only-binary=:all:", f"--python-version={python}", f"--dest={folder}", f"--requirement={lock}"])

    return _cached(name, download)


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of that name from the cache; made by one process only, under another name, and then renamed."""
    done = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.is_dir():
            unfinished = CACHE / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(done)
    return done


def _debootstrap(folder: Path) -> None:
    mirror = [os.environ["VITALD_LAB_MIRROR"]] if "VITALD_LAB_MIRROR" in os.environ else []
    _must(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(folder), *mirror])
    for archive in (folder / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()
    (folder / "etc/hostname").unlink(missing_ok=True)  # this machine's, as debootstrap leaves it
    (folder / "etc/resolv.conf").unlink(missing_ok=True)


def _must(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command[:3])} … failed:\n{(done.stdout + done.stderr)[-2000:]}")
