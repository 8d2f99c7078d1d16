"""`vitald runbook`: list, text, and names that do not exist."""

from __future__ import annotations

import pytest

from daemon.cli import main as cli
from tests.kit.rulebook import RUNBOOKS, alerts


def test_without_a_name_it_lists_every_alert_with_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runbook"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(alerts())
    assert all(len(line.split(maxsplit=1)) > 1 and "*" not in line for line in lines)


@pytest.mark.parametrize("name", ["StorageFailing", "storagefailing", "StorageFailing.md"])
def test_it_prints_a_runbook(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runbook", name]) == 0
    assert capsys.readouterr().out == (RUNBOOKS / "StorageFailing.md").read_text()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("StorageFailed", "did you mean StorageFailing"),
        ("hostdwn", "did you mean HostDown"),
        ("../../../../etc/passwd", "`vitald runbook` lists them"),
        ("", "`vitald runbook` lists them"),
    ],
)
def test_an_unknown_name_is_refused_with_those_that_are_close(name: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runbook", name]) == 2
    printed = capsys.readouterr()
    assert hint in printed.err
    assert printed.out == ""
