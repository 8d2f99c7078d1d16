"""Output of `vitald scan`: tables, progress bar, OpenMetrics."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daemon.cli import main as cli
from daemon.cli.scan.report import amount
from tests.daemon.cli.scan.scanning import CLEAN, OUTAGE, log

pytestmark = pytest.mark.usefixtures("signature_cache")


def test_the_table_fits_80_columns_and_has_the_remediation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["scan", log(tmp_path / "a", OUTAGE.replace("web1", "ip-10-0-\x1b[31m0-56"))]) == 1
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert re.search(r"CRIT  dhclient-no-offers +3  2023-11-20 10:00", text)
    assert re.search(r"CRIT  2023-12-31 10:00 +1m +4[01]d( 23h)? +1 +dhclient-bound", text)
    assert "dhclient received no DHCPOFFER within its timeout" in text
    assert "Check link, VPC or VLAN" in text


def test_the_table_without_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["scan", log(tmp_path / "a", CLEAN)]) == 0
    assert capsys.readouterr().out.strip().startswith("no events: 60 B in 1 file")


@pytest.mark.needs("promtool")
def test_promtool_creates_blocks_from_the_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    escaped = OUTAGE.replace("web1", 'we"b\\1')
    assert cli.main(["scan", "--format=openmetrics", log(tmp_path / "a", OUTAGE + escaped)]) == 1
    (tmp_path / "past.txt").write_text(text := capsys.readouterr().out)
    (tmp_path / "tsdb" / "wal").mkdir(parents=True)  # `dump` wants one
    done = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", tmp_path / "past.txt", tmp_path / "tsdb"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr + text[:500]
    listed = subprocess.run(["promtool", "tsdb", "list", tmp_path / "tsdb"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert len(listed.splitlines()) >= 4, listed  # three days, and the head of the table
    dumped = subprocess.run(
        ["promtool", "tsdb", "dump", '--match={signature="dhclient-no-offers",host="web1"}', tmp_path / "tsdb"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    values = [float(line.split()[-2]) for line in dumped.splitlines()]
    assert (values[0], values[-1]) == (0, 3)
    assert values == sorted(values)


def stderr_on_a_terminal(arguments: list[str], feed: bytes = b"") -> str:
    """Run vitald with a terminal as stderr; return what it wrote there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("vitald"), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    drawn = io.BytesIO()
    try:
        assert process.stdin is not None
        process.stdin.write(feed)
        process.stdin.close()
        deadline = time.monotonic() + 60
        while select.select([ours], [], [], max(0, deadline - time.monotonic()))[0]:
            try:
                if not (data := os.read(ours, 65536)):
                    break
            except OSError:  # the other end is closed
                break
            drawn.write(data)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return drawn.getvalue().decode()


def test_a_terminal_shows_a_progress_bar_with_the_rate(tmp_path: Path) -> None:
    file = log(tmp_path / "a", CLEAN * 500_000)
    drawn = stderr_on_a_terminal(["scan", file])
    assert "━" in drawn
    assert re.search(r"[1-9][0-9.]* [kMG]?B/s", drawn), drawn[-500:]
    assert "30.0/30.0 MB" in drawn or "100%" in drawn


def test_amounts_have_a_fitting_unit() -> None:
    assert [amount(count) for count in (0, 999, 1000, 1.5e9, 2e12)] == ["0 B", "999 B", "1.0 kB", "1.5 GB", "2.0 TB"]
