"""Commands of runbooks, alerts and packs: valid shell or PromQL, and tried (tests/e2e/test_remediations.py) or listed with a reason."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.kit import remediations
from tests.kit.rulebook import RUNBOOKS, exported, names, promtool

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.fault(148)


def test_there_are_commands_of_every_kind() -> None:
    kinds = (
        remediations.runbook_blocks("sh"),
        remediations.runbook_blocks("promql"),
        remediations.alert_commands(),
        remediations.pack_commands(),
    )
    assert all(len(kind) > 30 for kind in kinds)


def test_every_command_is_valid_shell() -> None:
    wrong = {
        each.where: done.stderr
        for each in remediations.every()
        if (done := subprocess.run(["bash", "-n"], input=each.text, text=True, capture_output=True, check=False)).returncode
    }
    assert wrong == {}


def test_every_program_is_tried_or_listed_with_the_reason_why_not() -> None:
    known = remediations.LAB | remediations.SYSTEMD | set(remediations.NOT_HERE)
    assert {(each.where, program) for each in remediations.every() for program in each.programs - known} == set()


def test_no_reason_is_left_of_a_program_that_no_command_runs() -> None:
    used = set().union(*(each.programs for each in remediations.every()))
    assert (remediations.LAB | remediations.SYSTEMD | set(remediations.NOT_HERE)) - used - {"sh"} == set()


def test_every_module_whose_verdicts_name_a_command_is_listed_with_where_it_is_tried() -> None:
    assert remediations.verdict_modules() == set(remediations.VERDICTS)


@pytest.mark.needs("promtool")
def test_every_expression_of_a_runbook_is_valid_and_reads_exported_metrics(tmp_path: Path) -> None:
    blocks = remediations.runbook_blocks("promql")
    rules = [{"record": f"test:{index}:x", "expr": block.text} for index, block in enumerate(blocks)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    done = promtool("check", "rules", tmp_path / "rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {(block.where, name) for block in blocks for name in names(block.text) - exported()} == set()


@pytest.mark.needs("promtool")
def test_every_expression_of_an_alert_command_is_valid(tmp_path: Path) -> None:
    found = [
        (each.where, match)
        for each in remediations.alert_commands()
        for match in re.findall(r"promtool query instant \S+ '(.+)'$", each.text)
    ]
    assert found
    rules = [{"record": f"test:{where}:x", "expr": expression} for where, expression in found]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    done = promtool("check", "rules", tmp_path / "rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_runbook_that_is_named_exists() -> None:
    named = {name for each in remediations.runbook_blocks("sh") for name in re.findall(r"vitald runbook (\w+)", each.text)}
    assert named
    assert named <= {file.stem for file in RUNBOOKS.glob("*.md")}


@pytest.mark.parametrize("file", sorted(RUNBOOKS.glob("*.md")), ids=lambda file: file.stem)
def test_a_runbook_has_its_shell_commands_in_blocks_and_names_what_to_replace(file: Path) -> None:
    text = file.read_text()
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    commands = re.findall(r"`((?:sudo |systemctl |journalctl |ethtool -|ip (?:link|addr|route) |ps -|grep -)[^`]*)`", prose)
    assert commands == []
    variables = set(re.findall(r'"?\$([A-Z_]+)', text))
    assert {name for name in variables if f"{name}=" not in text} == set()
    assert not variables or "set the variables of the first lines" in text
    for word in ("INSTANCE", "TARGET", "HOST"):
        in_promql = [
            block for block in remediations.runbook_blocks("promql") if block.where == file.stem and re.search(rf'["]{word}\b', block.text)
        ]
        assert not in_promql or f"`{word}` by" in text
