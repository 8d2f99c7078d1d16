"""Shipped alert rules: each fires and resolves as its cases expect, has a runbook, and reads exported metrics only."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from collectors.registry import COLLECTORS
from tests.kit.rulebook import CASES, CONTRACT, ROOT, RULES, RUNBOOKS, alerts, cases, exported, load, names, promtool, rules
from tools import make_rules

ALERTS = alerts()
CHECKS = re.findall(r"`(\w+)`", next(line for line in CONTRACT.splitlines() if line.startswith("Checks (")).partition(": ")[2])
NEVER, ALWAYS = "vector(0) > 1", 'label_replace(vector(1), "x", "y", "", "")'
needs_promtool = pytest.mark.needs("promtool")


@needs_promtool
@pytest.mark.fault(58)
@pytest.mark.parametrize("file", CASES, ids=lambda file: file.name)
def test_every_promtool_case_passes(file: Path) -> None:
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_committed_rules_equal_the_generated_ones() -> None:
    made = make_rules.texts()
    assert {file for file in RULES if file.stem != "blame"} == set(made)
    assert [file.name for file, text in made.items() if file.read_text() != text] == [], "run .venv/bin/python tools/make_rules.py"


@needs_promtool
@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_promtool_lint_of_the_rules_is_clean(file: Path) -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_cases_for_firing_not_firing_and_resolving(name: str) -> None:
    own = [case for case in cases() if case.alert == name]
    firings = [[bool(count) for _, count in sorted(case.firing.items())] for case in own if not case.not_firing]
    assert any(True in firing and not firing[0] and not firing[-1] for firing in firings), f"{name}: no case fires and resolves"
    assert any(case.not_firing and case.series and not any(case.firing.values()) for case in own), (
        f"{name}: no case has data close to firing"
    )


def test_no_case_is_for_an_unknown_alert() -> None:
    assert {case.alert for case in cases()} <= set(ALERTS)


def without_annotations(file: Path, folder: Path, **changes: str) -> str:
    """Copy a rule file with changed alerts and without annotations, whose templates take most of the time. Return its path."""
    groups = [
        {**group, "rules": [{key: value for key, value in {**rule, **changes}.items() if key != "annotations"} for rule in group["rules"]]}
        for group in load(file)["groups"]
    ]
    (folder / file.name).write_text(yaml.safe_dump({"groups": groups}))
    return str(folder / file.name)


@needs_promtool
@pytest.mark.parametrize(("expression", "wrong"), [(NEVER, "firing"), (ALWAYS, "not firing")])
def test_an_alert_that_never_or_always_fires_fails_its_cases(tmp_path: Path, expression: str, wrong: str) -> None:
    file = next(file for file in CASES if file.name == "memory.test.yml")  # the shortest; promtool compares all files in the same way
    (tmp_path / file.name).write_text(file.read_text().replace("../../../../exporters/prometheus/rules/", ""))
    mutant = without_annotations(ROOT / "exporters/prometheus/rules/memory.yml", tmp_path, expr=expression, **{"for": "0s"})
    done = promtool("test", "rules", tmp_path / file.name)
    failed = set(re.findall(r'alertname=\\"(\w+)\\"', done.stdout + done.stderr))
    assert failed == {rule["alert"] for rule in rules(Path(mutant)) if "alert" in rule}, f"passes although it should be {wrong}"


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_severity_and_all_annotations(name: str) -> None:
    rule = ALERTS[name]
    assert re.fullmatch(r"([A-Z][a-z]+)+", name), f"{name} is not CamelCase"
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description", "since", "action", "command", "runbook"}
    assert rule["annotations"]["runbook"] == f"vitald runbook {name}"


@pytest.mark.parametrize("file", [file for file in RULES if file.stem != "blame"], ids=lambda file: file.name)
def test_every_for_has_a_reason_in_a_comment(file: Path) -> None:
    delays = [line for line in file.read_text().splitlines() if line.strip().startswith("for:")]
    assert len(delays) == len([rule for rule in rules(file) if "alert" in rule])
    assert not [line for line in delays if not re.search(r"for: \w+ # .{20,}", line)]


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {file.stem for file in RUNBOOKS.glob("*.md")} - {"README"} == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_a_runbook_has_all_its_parts(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text()
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert [part.partition("\n")[0] for part in parts] == [
        "Symptom",
        "Meaning",
        "How to confirm",
        "Remediation",
    ]
    assert all(part.partition("\n")[2].strip() for part in parts)


@pytest.mark.fault(58)
@pytest.mark.parametrize("name", ALERTS)
def test_every_metric_of_an_alert_is_exported(name: str) -> None:
    rule = ALERTS[name]
    texts = [rule["expr"], *rule["annotations"].values()]
    named = names(rule["expr"]) | {found for text in texts for found in re.findall(r"\b(vitald_\w+)\{", text)}
    assert named <= exported(), sorted(named - exported())


@needs_promtool
def test_every_verdict_fires_exactly_one_alert_at_each_bad_level_and_none_when_healthy(tmp_path: Path) -> None:
    subjects = [(check, level) for check in CHECKS for level in (0, 1, 2)]
    series = [
        {"series": f'vitald_health{{job="vitald",instance="h{level}:19100",check="{check}",subject="x:22"}}', "values": f"{level}x180"}
        for check, level in subjects
    ]
    expected = [{"labels": f'{{check="{check}",instance="h{level}:19100"}}', "value": 1} for check, level in subjects if level]
    probe = {"expr": 'count by (check, instance) (ALERTS{alertstate="firing",check!=""})', "eval_time": "2h", "exp_samples": expected}
    (tmp_path / "coverage.test.yml").write_text(
        yaml.safe_dump(
            {
                "rule_files": [without_annotations(file, tmp_path) for file in RULES],
                "evaluation_interval": "1m",
                "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [probe]}],
            }
        )
    )
    done = promtool("test", "rules", tmp_path / "coverage.test.yml")
    assert done.returncode == 0, done.stdout[:2000]


def test_the_contract_lists_every_check_of_the_rules() -> None:
    named = {check for rule in ALERTS.values() for check in re.findall(r'check="(\w+)"', rule["expr"])}
    assert named == set(CHECKS)
    assert "|".join(CHECKS) in ALERTS["FindingWithoutRule"]["expr"]


def test_every_signature_of_a_rule_is_in_a_pack() -> None:
    packs = list((ROOT / "collectors/logs/signatures").glob("*.toml"))
    assert packs
    known = {entry["id"] for pack in packs for entry in tomllib.loads(pack.read_text()).get("signature", ())}
    assert {name for rule in ALERTS.values() for name in re.findall(r'signature="([^"]+)"', rule["expr"])} <= known


def test_no_rule_names_a_collector() -> None:
    assert COLLECTORS
    assert not [name for name, rule in ALERTS.items() if re.search(r'collector="', rule["expr"])]
