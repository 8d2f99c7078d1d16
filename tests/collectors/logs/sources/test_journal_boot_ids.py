"""A journal whose boot ID is not that of the namespace that reads it: `journalctl --follow` shows nothing of it."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from collectors.files import read_boot_id
from collectors.logs.sources import journal as journal_module

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collectors.logs.conftest import LogsLab

OTHER = "0123456789abcdef0123456789abcdef"
OWN = read_boot_id("/proc").replace("-", "")
# As journalctl does: --follow adds a match of this boot (journalctl-filter.c add_boot)
JOURNALCTL = """#!{python}
import json, sys, time
cursor = int(sys.argv[sys.argv.index("--cursor") + 1]) if "--cursor" in sys.argv else -1
follow, newest = "--follow" in sys.argv, "--lines=1" in sys.argv
at = max(cursor, 0)
while True:
    lines = open("{entries}").read().splitlines()
    for number in range(len(lines) - 1 if newest else at, len(lines)):
        entry = json.loads(lines[number]) | {{"__CURSOR": str(number)}}
        if number >= 0 and (not follow or entry["_BOOT_ID"] == "{own}"):
            print(json.dumps(entry), flush=True)
    at = len(lines)
    if not follow:
        sys.exit(0)
    time.sleep(0.05)
"""


@pytest.mark.fault(166)
@pytest.mark.parametrize("boot", [OWN, OTHER])
@pytest.mark.parametrize("first", [1, 0], ids=["entries", "empty"])
def test_a_journal_of_another_boot_id_is_read_periodically(
    lab: LogsLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, boot: str, first: int
) -> None:
    """Each entry is counted once, those too that are written while it is read."""
    monkeypatch.setattr(journal_module, "_POLL_SECONDS", 0.1)
    (programs := tmp_path / "programs").mkdir()
    (entries := programs / "entries").touch()
    (journalctl := programs / "journalctl").write_text(JOURNALCTL.format(python=sys.executable, entries=entries, own=OWN))
    journalctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    fields = {"_COMM": "dhclient", "_UID": "0", "_BOOT_ID": boot, "MESSAGE": "No DHCPOFFERS received."}

    def write(count: int) -> None:
        with entries.open("a") as file:
            for _ in range(count):
                file.write(json.dumps({**fields, "__REALTIME_TIMESTAMP": str(int(time.time() * 1e6))}) + "\n")

    def counted(total: int) -> None:
        for _ in range(400):
            if lab.read().events["dhclient-no-offers"] == total:
                return
            time.sleep(0.05)
        raise AssertionError(lab.counts())

    with entries.open("a") as file:  # of another program: the newest entry of all tells
        file.write(json.dumps({**fields, "_COMM": "sshd", "__REALTIME_TIMESTAMP": "1000000"}) + "\n")
    lab.open(journal="on")
    write(first)
    counted(first)
    for more in (2, 3):
        write(more)
        counted(first := first + more)
    assert lab.lost() == {}
    assert ("journal has another boot ID" in caplog.text) is (boot == OTHER)
    assert "journal" not in lab.read().unavailable
    lab.restart()
    write(1)
    counted(first + 1)
