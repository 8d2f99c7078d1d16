"""What `make` installs is what is locked, whatever the index has since."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")
SOURCES = ("Makefile", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "collectors", "exporters", "daemon")
LIMIT = 240  # seconds for a command; the machine is shared


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return its output."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def normal(name: str) -> str:
    """Write a package's name as an index does (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def newer(wheel: Path, folder: Path) -> Path:
    """Make an empty wheel of the same package with a higher version."""
    name, version = wheel.name.split("-")[:2]
    epoch, mark, _ = version.rpartition("!")
    release = f"{name}-{epoch}{mark}9999"
    path = folder / f"{release}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{release}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {epoch}{mark}9999\n")
        archive.writestr(f"{release}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{release}.dist-info/RECORD", "")
    return path


def write_index(folder: Path, wheels: Iterable[Path]) -> None:
    """Write a PEP 503 index with each of these wheels and a newer release of its package."""
    newest = folder / "newest"
    newest.mkdir(parents=True)
    for wheel in wheels:
        project = folder / normal(wheel.name.split("-")[0])
        project.mkdir()
        links = [f'<a href="{quote(path.as_uri(), safe=":/%")}">{path.name}</a>' for path in (wheel, newer(wheel, newest))]
        (project / "index.html").write_text("<!DOCTYPE html><html><body>" + "".join(links) + "</body></html>")


@pytest.mark.e2e
@pytest.mark.needs("make")
@pytest.mark.timeout(2 * LIMIT + 60)
def test_an_index_with_a_newer_release_of_everything_changes_nothing(tmp_path: Path) -> None:
    """Install a copy of this checkout. Its locks name no extras: nothing but --no-deps keeps pip from looking up coverage[toml]."""
    download = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes")
    run(*download, "--only-binary=:all:", f"--dest={tmp_path / 'wheels'}", f"--requirement={ROOT / LOCKS[1]}")
    wheels = sorted((tmp_path / "wheels").iterdir())
    write_index(tmp_path / "index", wheels)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, checkout / name)
    for name in LOCKS:
        (checkout / name).write_text(re.sub(r"(?m)^([\w.-]+)\[.*?\]", r"\1", (ROOT / name).read_text()))

    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE", "MFLAGS"))}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": (tmp_path / "index").as_uri()}
    environment |= {"PIP_NO_CACHE_DIR": "1", "PIP_NO_COMPILE": "1"}  # takes less time
    run("make", "-C", checkout, f"PYTHON={sys.executable}", "VENV=venv", "venv/.dev", environment=environment)

    pip_list = (checkout / "venv/bin/pip", "list", "--format=freeze", "--exclude=pip", "--exclude=vitald")
    listed = run(*pip_list, environment=environment).split()
    installed = {normal(name): version for name, _, version in (line.partition("==") for line in listed)}
    assert installed == {normal(wheel.name.split("-")[0]): wheel.name.split("-")[1] for wheel in wheels}
    shutil.rmtree(checkout)  # pytest would keep its 250 MB


def test_make_install_looks_up_no_dependency_either() -> None:
    script = (ROOT / "systemd/install.sh").read_text()
    installs = [line for line in script.splitlines() if '"${pip[@]}" install' in line]
    assert any("requirements.lock" in line for line in installs)
    assert all("--no-deps" in line for line in installs)
