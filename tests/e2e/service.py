"""vitald.service in a container: systemctl, its journal, drop-ins."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from tests.kit.container import Container

SETTINGS = "/etc/vitald/vitald.toml"
DROPINS = "/etc/systemd/system/vitald.service.d"


class Service:
    """The installed service."""

    def __init__(self, host: Container) -> None:
        self.host = host

    def systemctl(self, verb: str, *, check: bool = True) -> CompletedProcess[str]:
        """Run a systemctl verb on it."""
        return self.host.run("systemctl", verb, "vitald.service", check=check)

    def show(self, name: str) -> str:
        """Return one of its properties."""
        return self.host.run("systemctl", "show", "--value", f"--property={name}", "vitald.service").stdout.strip()

    def pid(self) -> int:
        """Return the daemon's process id in this machine's pid namespace."""
        inner = self.show("MainPID")
        assert inner != "0", "vitald.service has no main process"
        namespace = (Path("/proc") / str(self.host.pid) / "ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "ns/pid").readlink() == namespace and _inner_pid(process) == inner:
                    return int(process.name)
        raise AssertionError(f"process {inner} of the container is not there")

    def drop_in(self, text: str) -> None:
        """Install a drop-in and restart the unit."""
        self.host.write(f"{DROPINS}/test.conf", text)
        self.host.run("systemctl", "daemon-reload")
        self.systemctl("restart")

    def run_in_sandbox(self, program: str, text: str) -> str:
        """Run a Python program in place of the daemon, in the unit's sandbox; return the journal line that contains `text`."""
        self.host.write("/run/vitald-test.py", program)
        since = self.cursor()
        run = "/opt/vitald/current/bin/python /run/vitald-test.py"
        self.drop_in(f"[Service]\nType=simple\nWatchdogSec=0\nRestart=no\nExecStart=\nExecStart={run}\n")
        return str(self.wait_for_line(since, text)["MESSAGE"])

    def restore(self, settings: str) -> None:
        """Remove the drop-in and restore the settings; restart the service only if needed."""
        if self.host.file(SETTINGS).read_text() != settings:
            self.host.write(SETTINGS, settings)
            self.systemctl("reload", check=False)
        if self.host.file(f"{DROPINS}/test.conf").exists():
            self.host.file(f"{DROPINS}/test.conf").unlink()
            self.host.run("systemctl", "daemon-reload")
            self.systemctl("restart")
        if self.show("ActiveState") != "active":
            self.systemctl("restart")

    def cursor(self) -> str:
        """Return the cursor of the journal's end."""
        return self.host.run("journalctl", "--no-pager", "--lines=0", "--show-cursor").stdout.rpartition("-- cursor: ")[2].strip()

    def journal(self, since: str) -> list[dict[str, Any]]:
        """Return the unit's journal entries after a cursor."""
        output = self.host.run("journalctl", "--no-pager", "--unit=vitald.service", "--output=json", f"--after-cursor={since}").stdout
        return [json.loads(line) for line in output.splitlines()]

    def wait_for_line(self, since: str, text: str, seconds: float = 20) -> dict[str, Any]:
        """Wait for a journal entry that contains `text`."""
        found: dict[str, Any] = wait(
            lambda: next((e for e in self.journal(since) if text in str(e["MESSAGE"])), None), f"{text!r} in the journal", seconds
        )
        return found


def _inner_pid(process: Path) -> str:
    return next(line.split()[-1] for line in (process / "status").read_text().splitlines() if line.startswith("NSpid:"))


def wait(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Wait until a condition returns something true; return that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"timed out after {seconds} s waiting for {what}"
        time.sleep(0.1)
    return found
