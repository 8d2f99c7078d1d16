"""Logs to scan, and a call of `vitald scan`."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

from daemon.cli import main as cli

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MARCH = datetime(2024, 3, 5, 12).timestamp()  # noqa: DTZ001 — lines without a zone are local
CLEAN = "Mar  5 10:00:00 web1 sshd[1]: Accepted publickey for deploy\n"
OUTAGE = """\
Nov 20 10:00:00 web1 dhclient[7]: DHCPDISCOVER on eth1 to 255.255.255.255 port 67 interval 9
Nov 20 10:00:09 web1 dhclient[7]: No DHCPOFFERS received.
Nov 20 10:05:09 web1 dhclient[7]: No DHCPOFFERS received.
Nov 20 10:06:00 web1 dhclient[7]: bound to 10.0.0.56 -- renewal in 1612 seconds.
Dec 31 10:00:00 web1 dhclient[7]: No DHCPOFFERS received.
Dec 31 10:01:00 web1 dhclient[7]: bound to 10.0.0.56 -- renewal in 1612 seconds.
Mar  5 10:00:00 web1 kernel: [12.000001] Out of memory: Killed process 1 (init) total-vm:1kB, anon-rss:1kB, file-rss:0kB
"""


def log(file: Path, text: str | bytes, changed: float = MARCH) -> str:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(file, (changed, changed))
    return str(file)


def scan(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    status = cli.main(["scan", "--format=json", *arguments])
    output = capsys.readouterr()
    return status, json.loads(output.out), output.err
