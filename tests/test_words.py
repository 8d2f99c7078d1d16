"""The tree uses standard terms: no name that was replaced comes back, and no docstring begins with a banned verb."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PROGRAM = ("collectors", "exporters", "daemon")
CODE = (*PROGRAM, "bench", "tools", "tests")
TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".css", ".service", ".conf", ".sh", ".cfg", ""}
EXEMPT = {  # these name what was replaced, on purpose
    "CHANGELOG.md",
    "LICENSE",
    "bench/RESULTS.md",  # rows of earlier runs
    "daemon/config_errors.py",  # refuses an old settings key with the new one named
    "collectors/logs/matching/packs.py",  # refuses `mend` in a signature pack
    "tests/daemon/test_config.py",
    "tests/collectors/logs/matching/test_packs.py",
    "tests/test_words.py",
}

BANNED_VERBS = re.compile(r"(Give|Say|Name|Whether|Take|Let|Tell)s?\b")

REPLACED_NAMES = re.compile(  # identifiers of the program, whole
    r"Crowd|Door|Access|Doorkeeper|Questions|Intake|Gone|Traffic|Track|Course|Every|Own|Choice|Tally|History|Host|Trouble|Standby|Moment"
    r"|Record|Outcome|_?Flights|Roster|Shot|Play|Place|Distrusted|Way|Link|Standing|Wish|Proof|Prospect|Looker|Depth|Contents|Inside"
    r"|Copies|Position|Blame|Books|Besides|Reading|TALKATIVE|GRAVE|own_fault|shy|flying|land|bell|turned_bad|shake_hands|middles|lose|thing"
    r"|_throw_out|look|wakes|mend|held|speaker|look_every|syn_every"
)
REPLACED_PUBLIC = re.compile(  # in every file
    r"(?:\b|\\n)(?:mend|syn_every|look_every)\b|(?m:^#?every = )|(?m:^#?reach = )|own_log_lines_hidden"
    r"|log_signatures_valid|dhcp_lease_seconds|nic_interfaces_unread|\bspeaker\b|[=`]\"?nowhere\b"
)
METAPHORS = re.compile(
    r"\b(house|crowds?|doorkeeper|doors?|culprits?|bark(s|ed)?|thr(ow|own) out|newcomers?|mend(s|ed|ing)?"
    r"|flights|people|(no|some|any|every)body|speaks?|spoke|believed?|hears?|told|said)\b",
    re.IGNORECASE,
)


def tracked(suffixes: set[str]) -> Iterator[Path]:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in names:
        path = ROOT / name
        if path.suffix in suffixes and name not in EXEMPT and "fixtures" not in path.parts and "hosts" not in path.parts and path.is_file():
            yield path


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if str(path.relative_to(ROOT)) not in EXEMPT]


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def documented(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (text := ast.get_docstring(node)):
            yield getattr(node, "lineno", 1), text


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield every name that a module defines: classes, functions, parameters, variables and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


@pytest.mark.parametrize("path", modules(*CODE), ids=ids)
def test_no_docstring_begins_with_a_banned_verb(path: Path) -> None:
    found = [f"{path}:{line}: {text.splitlines()[0]}" for line, text in documented(ast.parse(path.read_text())) if BANNED_VERBS.match(text)]
    assert found == []


@pytest.mark.parametrize("path", modules(*PROGRAM), ids=ids)
def test_no_replaced_name_is_defined(path: Path) -> None:
    found = [f"{path}:{line}: {name}" for line, name in names(ast.parse(path.read_text())) if REPLACED_NAMES.fullmatch(name)]
    assert found == []


def test_no_replaced_public_name_is_written() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip():.120}"
        for path in tracked(TEXT)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if REPLACED_PUBLIC.search(line)
    ]
    assert found == []


def test_no_metaphor_is_written() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip():.120}"
        for path in tracked({".py", ".md", ".toml", ".yml", ".service"})
        if path.relative_to(ROOT).parts[0] != "tests"
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if METAPHORS.search(line) and not re.search("nobody.cared", line)  # the kernel's own text
    ]
    assert found == []


def test_a_class_name_is_unique_in_the_program() -> None:
    seen: dict[str, list[str]] = {}
    for path in modules(*PROGRAM):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                seen.setdefault(node.name, []).append(ids(path))
    assert {name: places for name, places in seen.items() if len(places) > 1} == {}
