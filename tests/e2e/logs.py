"""vitald in a container, with `[logs]` settings of a test's own."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.service import Service, wait

if TYPE_CHECKING:
    from tests.kit.network import Network


WATCHDOG = "NETDEV WATCHDOG: eth0 (ena): transmit queue 1 timed out"
NO_OFFERS = "No DHCPOFFERS received."
# nspawn mounts a boot id of its own over /proc/sys/kernel/random/boot_id; a sandbox that mounts /proc/sys anew shows the machine's, and
# `journalctl --follow` reads entries of the present boot only. A real host has one boot id.
ONE_BOOT_ID = "[Service]\nProtectKernelTunables=no\nProtectControlGroups=no\n"


class LogsInContainer:
    """vitald in a container, with `[logs]` settings of a test's own."""

    def __init__(self, service: Service, network: Network | None = None) -> None:
        self.service = service
        self.host = service.host
        self.network = network

    def settings(self, text: str, sandbox: str = ONE_BOOT_ID) -> None:
        """Restart without saved state, with these settings and this drop-in."""
        self.host.write("/etc/vitald/vitald.toml", f"[logs]\n{text}\n")
        self.service.systemctl("stop")
        self.host.run("sh", "-c", "rm -f /var/lib/vitald/logs.json")
        self.service.drop_in(sandbox)
        wait(lambda: "vitald_log_events_total" in self.metrics(), "the first reading")
        counts = [self.value("vitald_log_lines_total")]
        while len(counts) < 4 or counts[-1] != counts[-4]:  # the backlog has been read
            time.sleep(0.3)
            counts.append(self.value("vitald_log_lines_total"))

    def metrics(self) -> str:
        script = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:19100/metrics').read().decode())"
        return self.host.run("python3", "-c", script).stdout

    def value(self, series: str) -> float:
        return sum(float(line.split()[-1]) for line in self.metrics().splitlines() if line.startswith(series))

    def events(self, signature: str) -> float:
        return self.value(f'vitald_log_events_total{{signature="{signature}"}}')

    def counted(self, signature: str, count: int) -> None:
        wait(lambda: self.events(signature) >= count, f"{count} of {signature}; there are {self.events(signature)}")
        assert self.events(signature) == count

    def write_as_unit(self, unit: str, message: str) -> None:
        """Write a message on a unit's standard output, so that journald sets its trusted fields."""
        self.host.run("systemd-run", "--quiet", "--wait", "--collect", f"--unit={unit}", "echo", message)

    def journalctl(self) -> list[int]:
        """Return the process ids of vitald's own journalctl, in this machine's pid namespace."""
        daemon = self.service.pid()
        found = []
        for child in Path(f"/proc/{daemon}/task").glob("*/children"):
            for pid in child.read_text().split():
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{pid}/comm").read_text() == "journalctl\n":
                        found.append(int(pid))
        return found
