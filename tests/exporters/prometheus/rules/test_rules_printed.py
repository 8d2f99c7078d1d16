"""`vitald rules`: all rules in one file, with the configured runbook URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.cli import main as cli
from tests.kit.rulebook import RULES, alerts, promtool, rules

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.needs("promtool")
def test_vitald_rules_prints_all_of_them_as_one_valid_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["rules"]) == 0
    file = tmp_path / "vitald.yml"
    file.write_text(capsys.readouterr().out)
    assert promtool("check", "rules", file).returncode == 0
    assert sorted(str(rule) for rule in rules(file)) == sorted(str(rule) for source in RULES for rule in rules(source))


@pytest.mark.needs("promtool")
def test_vitald_rules_adds_the_runbook_url_and_has_none_of_its_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["rules"]) == 0
    assert not [word for word in ("runbook_url", "example.com", "http://wiki") if word in capsys.readouterr().out]
    assert cli.main(["rules", "--runbooks.url", "https://wiki.internal/vitald/"]) == 0
    file = tmp_path / "vitald.yml"
    file.write_text(capsys.readouterr().out)
    assert promtool("check", "rules", file).returncode == 0
    urls = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in rules(file) if "alert" in rule}
    assert urls == {name: f"https://wiki.internal/vitald/{name}.md" for name in alerts()}
