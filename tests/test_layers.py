"""Imports point down: daemon → exporters → collectors. And no collector names Prometheus, no exporter a collector."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ["collectors", "exporters", "daemon"]  # from the lowest to the highest
MODULES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Name every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it points"
            yield node.module or ""


def upward(path: Path) -> list[str]:
    """Name the imports of a file that point to a higher layer than its own."""
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
    }


def test_the_model_imports_nothing_of_ours() -> None:
    tree = ast.parse((ROOT / "collectors/model.py").read_text())
    typing_only = {
        id(inner) for node in tree.body if isinstance(node, ast.If) for inner in ast.walk(node)
    }  # `if TYPE_CHECKING:` is not an import at run time
    ours = [
        n.module
        for n in ast.walk(tree)
        if isinstance(n, ast.ImportFrom) and id(n) not in typing_only and (n.module or "").startswith("collectors")
    ]
    assert ours == []


PACKETS = [path for path in MODULES if "packets" in path.parts]


@pytest.mark.parametrize("path", PACKETS, ids=ids)
def test_the_packet_child_is_a_program_of_its_own_under_its_own_licence(path: Path) -> None:
    assert path.read_text().startswith("# SPDX-License-Identifier: GPL-2.0-or-later\n")
    assert not [name for name in imported(path) if name.split(".")[0] in LAYERS and not name.startswith("collectors.packets.scapy_helper.")]


@pytest.mark.parametrize("path", [path for path in MODULES if path not in PACKETS], ids=ids)
def test_nothing_else_imports_the_packet_child_or_is_under_its_licence(path: Path) -> None:
    assert "SPDX" not in path.read_text()
    assert not [name for name in imported(path) if name.startswith("collectors.packets.scapy_helper")]


def test_an_arrow_that_points_up_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "collectors").mkdir()
    bad = tmp_path / "collectors/bad.py"
    bad.write_text("def f():\n    from daemon.board import Board\n")
    monkeypatch.setattr("tests.test_layers.ROOT" if __name__.startswith("tests.") else f"{__name__}.ROOT", tmp_path)
    assert upward(bad) == ["daemon.board"]
