"""vitald.service in a container: what systemd says of it, what the journal has from it."""

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
    """The service, as an operator meets it."""

    def __init__(self, host: Container) -> None:
        self.host = host

    def systemctl(self, verb: str, *, check: bool = True) -> CompletedProcess[str]:
        """Do something to it."""
        return self.host.run("systemctl", verb, "vitald.service", check=check)

    def show(self, name: str) -> str:
        """Give one of its properties."""
        return self.host.run("systemctl", "show", "--value", f"--property={name}", "vitald.service").stdout.strip()

    def pid(self) -> int:
        """Give the daemon's process id as this machine counts."""
        inner = self.show("MainPID")
        assert inner != "0", "vitald.service has no main process"
        namespace = (Path("/proc") / str(self.host.pid) / "ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "ns/pid").readlink() == namespace and _inner_pid(process) == inner:
                    return int(process.name)
        raise AssertionError(f"process {inner} of the container is not there")

    def drop_in(self, text: str) -> None:
        """Lay some lines over the unit, and restart it with them."""
        self.host.write(f"{DROPINS}/test.conf", text)
        self.host.run("systemctl", "daemon-reload")
        self.systemctl("restart")

    def say(self, program: str, words: str) -> str:
        """Run some lines of Python in the daemon's place, in all of the unit's sandbox; gives the journal's line with these words."""
        self.host.write("/run/vitald-say.py", program)
        since = self.cursor()
        run = "/opt/vitald/current/bin/python /run/vitald-say.py"
        self.drop_in(f"[Service]\nType=simple\nWatchdogSec=0\nRestart=no\nExecStart=\nExecStart={run}\n")
        return str(self.wait_for_line(since, words)["MESSAGE"])

    def restore(self, settings: str) -> None:
        """Take all drop-ins away, and run with these settings again; what was running as it should is left alone."""
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
        """Give the journal's present end."""
        return self.host.run("journalctl", "--no-pager", "--lines=0", "--show-cursor").stdout.rpartition("-- cursor: ")[2].strip()

    def journal(self, since: str) -> list[dict[str, Any]]:
        """Give the unit's journal entries after a cursor."""
        said = self.host.run("journalctl", "--no-pager", "--unit=vitald.service", "--output=json", f"--after-cursor={since}").stdout
        return [json.loads(line) for line in said.splitlines()]

    def wait_for_line(self, since: str, words: str, seconds: float = 20) -> dict[str, Any]:
        """Wait for a journal entry with these words in it."""
        found: dict[str, Any] = wait(
            lambda: next((e for e in self.journal(since) if words in str(e["MESSAGE"])), None), f"{words!r} in the journal", seconds
        )
        return found


def _inner_pid(process: Path) -> str:
    return next(line.split()[-1] for line in (process / "status").read_text().splitlines() if line.startswith("NSpid:"))


def wait(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Wait until a condition gives something; give that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.1)
    return found
