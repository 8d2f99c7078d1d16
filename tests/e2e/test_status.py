"""`vitald status` and the line of `systemctl status`, under systemd: who may ask, what they show, and that nothing stays behind."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from tests.e2e.service import wait

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.e2e.service import Service

SOCKET = "/run/vitald/vitald.sock"
VITALD = "/opt/vitald/current/bin/vitald"


def status(service: Service, *user: str) -> CompletedProcess[str]:
    return service.host.run(*user, VITALD, "status", "--format", "json", check=False)


@pytest.mark.fault(146)
def test_the_daemons_view_is_for_root_and_the_group_vitald(service: Service) -> None:
    socket: Path = service.host.file(SOCKET)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o660
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o750
    document = json.loads((by_root := status(service)).stdout)
    assert by_root.returncode == document["exit"]
    member = status(service, "setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=vitald", "--")
    assert json.loads(member.stdout)["version"] == document["version"]
    other = status(service, "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--")
    assert (other.returncode, other.stdout, len(other.stderr.splitlines())) == (3, "", 1)
    assert "permission denied; expected root or a member of the group vitald: sudo vitald status" in other.stderr


def test_systemctl_status_shows_the_present_state(service: Service) -> None:
    def is_current() -> bool:
        document = json.loads(status(service).stdout)
        levels = [finding["level"] for finding in document["findings"]]
        worst = document["findings"][0]
        parts = [f"{levels.count(level)} {level}" for level in ("critical", "warning", "unknown", "healthy") if level in levels]
        text = service.show("StatusText")
        return text.startswith(", ".join(parts)) and (worst["level"] == "healthy" or f"{worst['check']} {worst['subject']} since" in text)

    wait(is_current, "the state of the host in systemctl status", 40)


def test_a_daemon_that_was_killed_leaves_no_socket_in_the_way(service: Service) -> None:
    service.systemctl("stop")
    stopped = status(service)
    assert (stopped.returncode, len(stopped.stderr.splitlines())) == (3, 1)
    assert "the daemon is not running: systemctl status vitald" in stopped.stderr
    service.systemctl("start")
    service.host.run("systemctl", "kill", "--signal=KILL", "vitald.service")
    wait(lambda: status(service).returncode != 3 or json.loads(status(service).stdout or "{}"), "vitald status after the restart", 40)
    assert json.loads(status(service).stdout)["version"]
