"""`vitald explain`: meaning, remediation and senders of a line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli import main as cli

pytestmark = pytest.mark.usefixtures("signature_cache")


def test_explain_prints_meaning_and_remediation(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "Jul 26 04:08:00 www dhclient: No DHCPOFFERS received."]) == 0
    text = capsys.readouterr().out
    assert "dhclient-no-offers (critical, dhcp)" in text
    assert "dhclient received no DHCPOFFER within its timeout" in text
    assert "Check link, VPC or VLAN" in text


def test_explain_prints_the_senders_of_which_the_line_would_match(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "Jul 26 04:08:00 www sshd[1]: No DHCPOFFERS received.", "hello \x1b[31m"]) == 1
    text = capsys.readouterr().out
    assert "would match dhclient-no-offers if sent by dhclient" in " ".join(text.split())
    assert "\x1b" not in text


def test_explain_reads_lines_and_journal_entries_from_stdin() -> None:
    entry = {"__REALTIME_TIMESTAMP": "1", "_TRANSPORT": "kernel", "MESSAGE": "ena 0000:00:05.0 ens5: Keep alive watchdog timeout."}
    done = subprocess.run(
        [Path(sys.executable).with_name("vitald"), "explain", "--format=json", "-"],
        input=json.dumps(entry).encode() + b"\n\nnothing\n",
        capture_output=True,
        check=False,
        timeout=60,
    )
    first, second = json.loads(done.stdout)
    assert done.returncode == 1
    assert (first["signatures"][0]["id"], first["signatures"][0]["fields"]["interface"]) == ("ena-keepalive-timeout", "ens5")
    assert second["signatures"] == []
