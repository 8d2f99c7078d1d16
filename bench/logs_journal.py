"""Memory that the logs collector adds to the daemon when it reads a real journal: in a booted container, as root."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from tests.kit.container import Container
from tests.kit.program import BenchError
from tests.kit.results import Row
from tests.kit.roots import LabError

if TYPE_CHECKING:
    from pathlib import Path

ISSUE = 5
BAR = 6e6  # bytes
_SECONDS = float(os.environ.get("VITALD_BENCH_SECONDS", "60"))
_START = 60.0  # seconds until both answer
_SCRAPE = "import sys, urllib.request as u; print(u.urlopen(f'http://127.0.0.1:{sys.argv[1]}/metrics').read().decode())"
_OTHERS = 'kmsg = "off"\nfiles = []\n'
_SETTINGS = {"with": f'[logs]\njournal = "on"\n{_OTHERS}', "without": "[logs]\nenabled = false\n"}
_PORTS = {"with": "19101", "without": "19102"}
_MESSAGES = "No DHCPOFFERS received.\nNo working leases in persistent database - sleeping.\n"
_MESSAGES += "DHCPDISCOVER on eth0 to 255.255.255.255 port 67 interval 7\n"


def measure(folder: Path) -> list[Row]:  # noqa: ARG001 — all files are the container's
    """Run both, write a DHCP client's messages as a unit, scrape each second, and compare the memory of the daemons and of journalctl."""
    try:
        with Container() as host:
            host.install()
            return [_compare(host)]
    except (LabError, AssertionError, OSError) as error:
        raise BenchError(f"the container: {error}") from None


def _compare(host: Container) -> Row:
    for name, settings in _SETTINGS.items():
        host.write(f"/etc/bench/{name}.toml", settings)
        flags = [
            f"--config.file=/etc/bench/{name}.toml",
            f"--web.listen-address=127.0.0.1:{_PORTS[name]}",
            f"--state.directory=/var/lib/{name}",
        ]
        host.run(
            "systemd-run",
            "--quiet",
            f"--unit=bench-{name}",
            f"--property=StateDirectory={name}",
            "/opt/vitald/current/bin/vitald",
            "run",
            *flags,
        )
    began = time.monotonic()
    while any(not _scrape(host, name) for name in _SETTINGS):
        if time.monotonic() > began + _START:
            raise BenchError("the daemons do not answer in the container")
        time.sleep(0.5)
    pids = {name: host.run("systemctl", "show", "--value", "--property=MainPID", f"bench-{name}").stdout.strip() for name in _SETTINGS}
    most, end = dict.fromkeys(_SETTINGS, 0), time.monotonic() + _SECONDS
    written = 0
    while time.monotonic() < end:
        host.run("systemd-run", "--quiet", "--wait", "--collect", "--unit=networking.service", "printf", _MESSAGES)
        written += 1
        for name in _SETTINGS:
            _scrape(host, name)
            most[name] = max(most[name], _memory(host, pids[name])["Rss"])
        time.sleep(1)
    counted = next((line.split()[-1] for line in _scrape(host, "with").splitlines() if 'signature="dhclient-no-offers"' in line), "0")
    child = host.run("pgrep", "--parent", pids["with"], "journalctl", check=False).stdout.split()
    reader = _memory(host, child[0]) if child else {"Rss": 0, "Pss": 0}
    more, right = most["with"] - most["without"], float(counted) == written
    return Row(
        f"resident memory of the logs collector with a real journald, {_SECONDS:.0f} s of events ({counted} of {written} counted)",
        "≤ +6 MB",
        f"{more / 1e6:+.1f} MB ({most['with'] / 1e6:.1f} MB)",
        f"without it {most['without'] / 1e6:.1f} MB",
        "-",
        more <= BAR and right and bool(child),
        f"journalctl beside it: {reader['Rss'] / 1e6:.1f} MB with pages that others share; PSS {reader['Pss'] / 1e6:.1f} MB",
    )


def _scrape(host: Container, name: str) -> str:
    return host.run("python3", "-c", _SCRAPE, _PORTS[name], check=False).stdout


def _memory(host: Container, pid: str) -> dict[str, Any]:
    """Read a process' memory in bytes."""
    lines = host.run("cat", f"/proc/{pid}/smaps_rollup").stdout.splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("Rss", "Pss:"))}
