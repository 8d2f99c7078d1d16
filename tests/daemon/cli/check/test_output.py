"""Output of `vitald check` in a file and on a terminal of 80 columns: everything that JSON has, whole."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from collectors.model import Level, Verdict
from collectors.text import formatted
from daemon.cli.check.table import print_findings

HOSTS = Path(__file__).parents[3] / "collectors/nic/hosts"
ADDRESS = "[fd00:1234:5678:9abc:def0:1234:5678:9abc]:5432"


def run(host: str, *flags: str, **options: object) -> subprocess.CompletedProcess[str]:
    root = HOSTS / host
    command = [sys.executable, "-m", "daemon", "check", f"--path.rootfs={root}", f"--path.sysfs={root}/sys", f"--path.procfs={root}/proc"]
    command += ["--collector.disable-defaults", "--collector.nic", *flags]
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR", "NO_COLOR")}
    return subprocess.run(command, text=True, check=False, env={**environment, "TERM": "xterm"}, **options)  # type: ignore[call-overload,no-any-return]


def words_of(text: str) -> str:
    """Return the text in one line; times differ between two runs."""
    return re.sub(r"\d{4}-\d\d-\d\d[ T][\d:]+( UTC|Z)", "TIME", " ".join(text.split()))


@pytest.mark.parametrize("host", sorted(path.name for path in HOSTS.iterdir() if (path / "sys").is_dir()))
def test_a_file_has_every_fact_in_whole_words_without_escape_codes(host: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()  # the terminal in which the command is typed has colours, and 80 columns or none that is known
    with (tmp_path / "out").open("w") as out:
        run(host, stdout=out, stderr=theirs, stdin=theirs)
    os.close(ours)
    os.close(theirs)
    text = (tmp_path / "out").read_text()
    assert "\x1b" not in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    words = words_of(text)
    for finding in json.loads(run(host, "--format=json", stdout=subprocess.PIPE).stdout)["findings"]:
        if finding["level"] == "healthy":
            continue
        for fact in (finding["check"], finding["subject"], finding["message"], finding["remediation"]):
            assert words_of(fact) in words
        for name, value in finding["evidence"].items():
            assert name.replace("_", " ") in words
            assert words_of(formatted(value)) in words


def test_a_finding_has_a_line_for_each_fact() -> None:
    evidence = {"next_hop": "10.0.0.1 REACHABLE", "peer": ADDRESS, "counters": {"rx": 1, "tx": [2, 3]}, "up": True, "line": "a\x1b[31m\nb"}
    out = Console(file=StringIO(), width=80)
    print_findings(out, [Verdict("tcp_probe", ADDRESS, Level.CRITICAL, "no answer " * 12, evidence, "ping it")])
    assert isinstance(out.file, StringIO)
    assert out.file.getvalue().splitlines() == [
        f"CRITICAL tcp_probe {ADDRESS}",
        "  " + " ".join(["no answer"] * 7) + " no",
        "  answer " + " ".join(["no answer"] * 4),
        "  remediation: ping it",
        "  evidence:",
        "    next hop  10.0.0.1 REACHABLE",
        f"    peer      {ADDRESS}",
        "    counters  rx 1, tx 2; 3",
        "    up        yes",
        "    line      a\\x1b[31m\\nb",
        "",
    ]
