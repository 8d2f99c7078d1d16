"""Imports point down: daemon → exporters → collectors. Collector packages are independent of each other, and readers of collectors."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ["collectors", "exporters", "daemon"]  # from the lowest to the highest
MODULES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
PACKAGES = sorted({path.parent for path in MODULES})
COLLECTOR_PACKAGES = sorted(path.parent.name for path in (ROOT / "collectors").glob("*/collector.py"))
MAX_LINES, MIN_LINES, MAX_MODULES = 340, 40, 16


def dotted(path: Path) -> str:
    """Return a file's module name."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


NAMES = {dotted(path): path for path in MODULES}


def imported(path: Path, *, at_run_time: bool = False) -> Iterator[str]:
    """Yield every module that a file imports, wherever in it; with `at_run_time` not those under `if TYPE_CHECKING:`."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if at_run_time and id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides its target"
            module = node.module or ""
            for alias in node.names:
                yield f"{module}.{alias.name}" if f"{module}.{alias.name}" in NAMES else module


@cache
def importers() -> dict[str, set[str]]:
    """Return the modules that import each module."""
    found: dict[str, set[str]] = {}
    for path in MODULES:
        for name in imported(path):
            found.setdefault(name, set()).add(dotted(path))
    return found


def upward(path: Path) -> list[str]:
    """Return the imports of a file that point to a higher layer than its own."""
    own = LAYERS.index(path.relative_to(ROOT).parts[0])
    return [name for name in imported(path) if name.split(".")[0] in LAYERS and LAYERS.index(name.split(".")[0]) > own]


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_no_import_points_up(path: Path) -> None:
    assert upward(path) == []


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "collectors")], ids=ids)
def test_no_collector_names_prometheus_client(path: Path) -> None:
    assert not [name for name in imported(path) if name.startswith("prometheus")]


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "exporters")], ids=ids)
def test_no_exporter_names_a_collector(path: Path) -> None:
    assert {name for name in imported(path) if name.startswith("collectors")} <= {
        "collectors.model",
        "collectors.panel",
        "collectors.cardinality",
        "collectors.files",
        "collectors.text",
        "collectors.disk",
        "collectors.yaml_reader",
    }


def test_the_model_imports_nothing_of_vitald() -> None:
    assert [name for name in imported(ROOT / "collectors/model.py", at_run_time=True) if name.split(".")[0] in LAYERS] == []


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "collectors")], ids=ids)
def test_a_reader_imports_no_collector(path: Path) -> None:
    """Only the registry, and the collector's own package at its top, may import a `collector` module."""
    own = path.relative_to(ROOT / "collectors").parts
    for name in imported(path, at_run_time=True):
        match = re.fullmatch(r"collectors\.(\w+)\.collector", name)
        assert match is None or path.name == "registry.py" or own == (match[1], "__init__.py"), f"{ids(path)} imports {name}"


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "collectors")], ids=ids)
def test_a_collector_package_imports_another_only_through_its_init(path: Path) -> None:
    own = path.relative_to(ROOT / "collectors").parts[0]
    if own not in COLLECTOR_PACKAGES:  # netlink, packets and the modules at the top: what collectors share
        assert not [n for n in imported(path) if n.split(".")[1:2] and n.split(".")[1] in COLLECTOR_PACKAGES and path.name != "registry.py"]
        return
    others = [name for name in imported(path) if re.match(r"collectors\.\w+", name) and name.split(".")[1] in COLLECTOR_PACKAGES]
    assert [name for name in others if name.split(".")[1] != own and name.count(".") > 1] == []


HELPER = [path for path in MODULES if "scapy_helper" in path.parts]


@pytest.mark.parametrize("path", HELPER, ids=ids)
def test_the_scapy_helper_is_a_program_of_its_own_under_its_own_licence(path: Path) -> None:
    assert path.read_text().startswith("# SPDX-License-Identifier: GPL-2.0-or-later\n")
    assert not [name for name in imported(path) if name.split(".")[0] in LAYERS and not name.startswith("collectors.packets.scapy_helper.")]


@pytest.mark.parametrize("path", [path for path in MODULES if path not in HELPER], ids=ids)
def test_nothing_else_imports_the_scapy_helper_or_is_under_its_licence(path: Path) -> None:
    assert "SPDX" not in path.read_text()
    assert not [name for name in imported(path) if name.startswith("collectors.packets.scapy_helper")]


@pytest.mark.parametrize("package", PACKAGES, ids=ids)
def test_a_package_says_what_is_in_it_and_is_small_enough_to_overlook(package: Path) -> None:
    assert ast.get_docstring(ast.parse((package / "__init__.py").read_text()))
    assert len([path for path in package.glob("*.py") if path.name != "__init__.py"]) <= MAX_MODULES


@pytest.mark.parametrize("path", [path for path in MODULES if path.stem not in {"__init__", "__main__"}], ids=ids)
def test_a_module_is_neither_too_long_nor_a_scrap_of_its_only_importer(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_LINES
    assert lines >= MIN_LINES or len(importers().get(dotted(path), ())) != 1, f"merge it into {importers()[dotted(path)]}"


def test_no_two_modules_import_each_other() -> None:
    graph = {
        name: {other for other in imported(path, at_run_time=True) if other in NAMES and other != name} for name, path in NAMES.items()
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " → ".join((*above[above.index(name) :], name)) if name in above else ""
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_bench_imports_only_the_kit_of_the_tests() -> None:
    found = {name for path in (ROOT / "bench").glob("*.py") for name in imported(path) if name.split(".")[0] == "tests"}
    assert [name for name in found if name != "tests.kit" and not name.startswith("tests.kit.")] == []


def test_an_import_that_points_up_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "collectors").mkdir()
    bad = tmp_path / "collectors/bad.py"
    bad.write_text("def f():\n    from daemon.board import Board\n")
    monkeypatch.setattr("tests.test_layers.ROOT" if __name__.startswith("tests.") else f"{__name__}.ROOT", tmp_path)
    assert upward(bad) == ["daemon.board"]
