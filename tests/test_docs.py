"""Documentation: links and paths resolve, metrics are those of docs/contract.md, and architecture.md answers twenty questions."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.kit.rulebook import exported

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / name
    for name in subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    if name != "bench/RESULTS.md"  # rows of earlier runs
]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = ("collectors/", "exporters/", "daemon/", "tests/", "bench/", "tools/", "docs/", "systemd/")
MAX_FILES = 3  # that answer a question
QUESTIONS = 20


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_relative_link_resolves(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CONTRIBUTING.md"], ids=ids)
def test_every_path_and_module_exists(page: Path) -> None:
    code = [word for text in CODE.findall(page.read_text()) for word in text.split()]
    paths = [word for word in code if word.startswith(FOLDERS) and not re.search(r"[<>*{]", word)]
    modules = [word for word in code if re.fullmatch(r"(collectors|exporters|daemon|tests|bench|tools)(\.[a-z_0-9]+)+", word)]
    missing = [word for word in modules if not _module_exists(word)]
    assert [word for word in paths if not (ROOT / word.rstrip(".,;)")).exists()] + missing == []


def _module_exists(name: str) -> bool:
    """Return whether a dotted name is a module or package, or an attribute of one."""
    parts = name.split(".")
    return any(
        (ROOT / "/".join(parts[:n])).is_dir() or (ROOT / f"{'/'.join(parts[:n])}.py").is_file() for n in (len(parts), len(parts) - 1)
    )


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=ids)
def test_every_metric_is_in_the_contract(page: Path) -> None:
    known = exported()
    named = set(re.findall(r"\b(vitald_[a-z_]+[a-z])\b(?!\*)", page.read_text())) - known
    assert sorted(name for name in named if not any(family.startswith(name) for family in known)) == []


def test_architecture_answers_twenty_questions_with_at_most_three_files_each() -> None:
    rows = re.findall(r"^\| \d+\. (.+?) \| (.+) \|$", (ROOT / "docs/architecture.md").read_text(), flags=re.MULTILINE)
    assert len(rows) == QUESTIONS
    assert [question for question, answer in rows if not 1 <= len(LINK.findall(answer)) <= MAX_FILES] == []


SECURITY = ROOT / "docs/security.md"
TEST = re.compile(r"\]\(\.\./(tests/[^)]+\.py)\)((?:`::test_\w+`)+)")
MIN_STATEMENTS = 30


def test_each_statement_about_security_has_a_test_that_exists_and_is_run() -> None:
    """A test that is skipped by a decorator or by its module is not run; what needs a program or root is run by CI."""
    rows = re.findall(r"^\| (?!what \||---)(.+) \| (.+) \|$", SECURITY.read_text(), flags=re.MULTILINE)
    assert len(rows) >= MIN_STATEMENTS
    assert [statement for statement, tests in rows if not TEST.search(tests)] == []
    for path, name in re.findall(r"\]\(\.\./(tests/[^)]+\.py)\)`::(test_\w+)`", SECURITY.read_text()):
        module = ast.parse((ROOT / path).read_text())
        found = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name]
        assert len(found) == 1, f"{path}::{name}"
        marks = [ast.unparse(mark) for mark in found[0].decorator_list]
        marks += [
            ast.unparse(node) for node in module.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
        ]
        assert not [mark for mark in marks if "skip" in mark or "xfail" in mark], f"{path}::{name}"
