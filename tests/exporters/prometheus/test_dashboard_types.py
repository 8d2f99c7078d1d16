"""Dashboard compared with the types of Grafana's own npm package @grafana/schema, by the TypeScript compiler."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kit.dashboards import DASHBOARD

HERE = Path(__file__).parent / "grafana"
ERROR = re.compile(r"^(\w+)\.ts\((\d+),\d+\): error", re.MULTILINE)

pytestmark = pytest.mark.needs("npm")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the locked versions of types and compiler; no script of a package runs."""
    folder = tmp_path_factory.mktemp("types")
    for file in HERE.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", f"--cache={folder}/.npm", "--loglevel=error")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def source(dashboard: dict[str, Any]) -> str:
    """Return a module with one constant per line: the dashboard, each annotation, each panel."""
    parts = copy.deepcopy(dashboard)
    panels, annotations = parts.pop("panels"), parts.pop("annotations")["list"]
    lines = [
        'import type { Annotation, Dashboard, Panels } from "./types.js";',
        f"export const dashboard: Dashboard = {json.dumps(parts)};",
    ]
    lines += [f"export const a{number}: Annotation = {json.dumps(each)};" for number, each in enumerate(annotations)]
    lines += [f'export const p{each["id"]}: Panels["{each["type"]}"] = {json.dumps(each)};' for each in panels]
    return "\n".join(lines) + "\n"


def compiled(project: Path, **modules: dict[str, Any]) -> tuple[dict[str, int], str]:
    """Compile a module per dashboard; return the number of errors of each, and the compiler's output."""
    for name, dashboard in modules.items():
        (project / f"{name}.ts").write_text(source(dashboard))
    done = subprocess.run(("node_modules/.bin/tsc", "-p", "."), cwd=project, capture_output=True, text=True, check=False, timeout=240)
    for name in modules:
        (project / f"{name}.ts").unlink()
    found = [name for name, _ in ERROR.findall(done.stdout)]
    assert done.returncode == 0 or found, done.stdout + done.stderr
    assert set(found) <= modules.keys(), done.stdout
    return {name: found.count(name) for name in modules}, done.stdout


def first(dashboard: dict[str, Any], kind: str) -> dict[str, Any]:
    panel: dict[str, Any] = next(panel for panel in dashboard["panels"] if panel["type"] == kind)
    return panel


def test_the_dashboard_has_no_type_error_and_wrong_ones_have(project: Path) -> None:
    shipped = json.loads(DASHBOARD.read_text())
    wrong = {name: copy.deepcopy(shipped) for name in ("key", "value", "option", "field", "threshold", "row", "undescribed")}
    wrong["key"]["style"] = "dark"
    wrong["value"]["schemaVersion"] = "42"
    first(wrong["option"], "stat")["options"]["colorMode"] = "rainbow"
    first(wrong["field"], "timeseries")["fieldConfig"]["defaults"]["custom"]["lineWidth"] = "1"
    first(wrong["threshold"], "stat")["fieldConfig"]["defaults"]["thresholds"] = {"mode": "absolut", "steps": []}
    del first(wrong["row"], "row")["collapsed"]
    del first(wrong["undescribed"], "table")["description"]
    errors, output = compiled(project, shipped=shipped, **wrong)
    assert errors.pop("shipped") == 0, output
    assert set(errors.values()) == {1}, output


def test_the_schema_version_is_that_of_the_types(project: Path) -> None:
    program = 'import("@grafana/schema").then((schema) => console.log(schema.defaultDashboard.schemaVersion))'
    done = subprocess.run(("node", "-e", program), cwd=project, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(DASHBOARD.read_text())["schemaVersion"] == int(done.stdout)
