"""A journal that becomes unavailable while it is followed, and available again."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from collectors.logs.reading import LogsReading
    from tests.collectors.logs.conftest import LogsLab

JOURNALCTL = """#!{python}
import json, os, sys, time
folder, cursor = "{folder}", int(sys.argv[sys.argv.index("--cursor") + 1]) if "--cursor" in sys.argv else -1
at = cursor
while not os.path.exists(folder + "/broken"):
    lines = open(folder + "/entries").read().splitlines()
    for number in range(max(at, 0), len(lines)):
        print(json.dumps(json.loads(lines[number]) | {{"__CURSOR": str(number)}}), flush=True)
    at = len(lines)
    if "--follow" not in sys.argv:
        sys.exit(0)
    time.sleep(0.05)
sys.exit(1)
"""


@pytest.mark.fault(38)
def test_files_replace_an_unavailable_journal_and_the_journal_replaces_files_again(
    lab: LogsLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts event by event, with a fake journalctl; tests/e2e stops the real one."""
    (programs := tmp_path / "programs").mkdir()
    (journalctl := programs / "journalctl").write_text(JOURNALCTL.format(python=sys.executable, folder=programs))
    journalctl.chmod(0o755)
    (entries := programs / "entries").touch()
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    offers = "dhclient-no-offers"

    def journal(count: int) -> None:
        with entries.open("a") as file:
            for _ in range(count):
                entry = {"__REALTIME_TIMESTAMP": str(int(time.time() * 1e6)), "_COMM": "dhclient", "_UID": "0"}
                file.write(json.dumps({**entry, "MESSAGE": "No DHCPOFFERS received."}) + "\n")

    def syslog(count: int) -> None:
        lab.write(*[f"{datetime.now(UTC).isoformat()} h dhclient[7]: No DHCPOFFERS received."] * count)

    def until(condition: Callable[[LogsReading], bool]) -> LogsReading:
        for _ in range(400):
            if condition(reading := lab.read()):
                return reading
            time.sleep(0.05)
        raise AssertionError(reading)

    lab.open(journal="on")
    lab.read()
    journal(2)
    syslog(2)  # the same messages, as rsyslog writes them
    assert until(lambda reading: reading.events[offers] == 2).selection.programs == "journal"
    (programs / "broken").touch()
    broken = until(lambda reading: reading.selection.programs == "files")
    assert broken.unavailable["journal"].reason == "failing"
    syslog(3)
    journal(3)
    assert until(lambda reading: reading.events[offers] == 5).selection.programs == "files"
    lab.restart()
    (programs / "broken").unlink()
    until(lambda reading: reading.selection.programs == "journal" and "journal" not in reading.unavailable)
    journal(4)
    syslog(4)
    until(lambda reading: reading.events[offers] == 9)
    assert lab.counts() == {offers: 9}
