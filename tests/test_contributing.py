"""CONTRIBUTING's five steps are true: the collector that it shows is added to a copy of the tree as it says, and works there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
FILES = {
    match[1]: textwrap.dedent(match[0]).split("\n", 1)[1] for match in re.finditer(r"(?ms)^ +# (collectors/\S+\.py)\n.*?(?=^ +```$)", TEXT)
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the program and what checks it, and follow the steps."""
    copy = tmp_path_factory.mktemp("tree")
    for folder in ("collectors", "exporters", "daemon"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "tests").mkdir()
    for name in ("pyproject.toml", "setup.cfg", "tests/test_layers.py"):
        shutil.copy(ROOT / name, copy / name)
    (copy / "bench").mkdir()
    for name, text in FILES.items():
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(text)
    registry = copy / "collectors/registry.py"
    registry.write_text(
        registry.read_text()
        .replace("from collectors.logs.collector", "from collectors.load.collector import LoadCollector\nfrom collectors.logs.collector", 1)
        .replace("LogsCollector, KernelMemory", "LogsCollector, KernelMemory, LoadCollector", 1)
    )
    return copy


def run(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=tree, env={"PYTHONPATH": str(tree), "PATH": "/usr/bin"}, capture_output=True, text=True, check=False
    )


def test_the_steps_show_every_file() -> None:
    assert set(FILES) == {"collectors/load/__init__.py", "collectors/load/loadavg.py", "collectors/load/collector.py"}


def test_it_passes_the_linters_and_the_layer_tests(tree: Path) -> None:
    for command in (
        ("-m", "ruff", "check", "collectors/load", "collectors/registry.py"),
        ("-m", "ruff", "format", "--check", "collectors/load"),
    ):
        done = run(tree, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    done = run(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_layers.py", "-k", "load or each_other or reader")
    assert done.returncode == 0, done.stdout
    done = run(tree, "-m", "mypy", "collectors/load")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("limit", "level", "code"), [(1e6, "healthy", 0), (1e-9, "warning", 1)])
def test_it_is_judged_by_its_settings(tree: Path, tmp_path: Path, limit: float, level: str, code: int) -> None:
    (tmp_path / "vitald.toml").write_text(f"[load]\nwarn_per_cpu = {limit}\n")
    (tmp_path / "loadavg").write_text("0.50 0.75 1.00 1/234 5678\n")
    flags = (
        "--collector.disable-defaults",
        "--collector.load",
        "--path.procfs",
        str(tmp_path),
        "--config.file",
        str(tmp_path / "vitald.toml"),
    )
    done = run(tree, "-m", "daemon", "check", "--format", "json", *flags)
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["check"], finding["level"], done.returncode) == ("load", level, code)


def test_a_wrong_setting_is_refused_with_its_key(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "vitald.toml").write_text("[load]\nwarn_per_cpu = 0\n")
    done = run(tree, "-m", "daemon", "check-config", str(tmp_path / "vitald.toml"))
    assert done.returncode == 2
    assert "load.warn_per_cpu: must be greater than 0" in done.stderr
