"""The real daemon beside a real kernel's addresses: what is scraped, and how soon."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.nic_lab import ENVIRONMENT, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kit.nic_lab import Namespace

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "curl")]
TIMEOUT = 20.0
LOST = 'vitald_health{check="dhcp_lease",subject="10.97.0.56"} 2.0'


class DhcpDaemon:
    """vitald in a namespace, with the DHCP collector alone, whose ticks are an hour apart: earlier changes come from events."""

    def __init__(self, lab: Namespace, folder: Path) -> None:
        self.lab, self.log, config = lab, folder / "stderr", folder / "vitald.toml"
        config.write_text('[dhcp]\ninterval = "1h"\nignore = ["lo"]\n')
        flags = ["--config.file", str(config), "--state.directory", str(folder / "state"), "--web.listen-address", "127.0.0.1:0"]
        flags += ["--collector.disable-defaults", "--collector.dhcp"]
        with self.log.open("wb") as stderr:
            lab.start(sys.executable, "-m", "daemon", "run", *flags, stderr=stderr, cwd=REPOSITORY)

    def scrape(self) -> str:
        found = re.search(r"url=(\S+/metrics)", self.log.read_text())
        return self.lab.run(f"curl -sS {found[1]}", check=False) if found else ""

    def until(self, condition: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + TIMEOUT
        while not condition(page := self.scrape()):
            assert time.monotonic() < deadline, f"not seen:\n{page}\n{self.log.read_text()}"
        return page


def test_a_new_lease_and_its_loss_show_long_before_the_next_tick(lab: Namespace, tmp_path: Path) -> None:
    daemon = DhcpDaemon(lab, tmp_path)
    daemon.until(lambda page: 'vitald_collector_success{collector="dhcp"} 1.0' in page)
    lab.run("ip addr add 10.97.0.56/24 dev one valid_lft 3600 preferred_lft 3600")
    daemon.until(lambda page: LOST.replace("} 2.0", "} 0.0") in page)
    lab.run("ip addr replace 10.97.0.56/24 dev one valid_lft 7200 preferred_lft 7200")
    daemon.until(lambda page: 'vitald_dhcp_renewals_total{interface="one"} 1.0' in page)
    lab.run("ip addr del 10.97.0.56/24 dev one")
    page = daemon.until(lambda page: LOST in page)
    assert 'vitald_dhcp_lease_remaining_seconds{address="10.97.0.56",interface="one"} 0.0' in page or (
        'vitald_dhcp_lease_remaining_seconds{interface="one",address="10.97.0.56"} 0.0' in page
    )
    assert 'vitald_collector_failures_total{collector="dhcp"} 0.0' in page


@pytest.mark.fault(6)
@pytest.mark.needs("promtool")
def test_an_interface_with_any_name_leaves_the_scrape_valid(lab: Namespace, tmp_path: Path) -> None:
    name = b'w"\xff\\\xe2\x80\xa8;{}'
    for arguments in (
        [b"link", b"set", b"two", b"name", name],
        [b"link", b"set", b"dev", name, b"up"],
        [b"addr", b"add", b"10.97.0.56/24", b"dev", name, b"valid_lft", b"3600", b"preferred_lft", b"3600"],
    ):
        subprocess.run([b"ip", b"-n", os.fsencode(lab.name), *arguments], env=ENVIRONMENT, check=True)
    page = DhcpDaemon(lab, tmp_path).until(lambda page: "vitald_dhcp_lease_duration_seconds{" in page)
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert LOST.replace("} 2.0", "} 0.0") in page
