"""systemd-networkd's lease, as read by the unit's sandboxed user without privileges."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.service import wait
from tests.kit.network import Network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Targets
    from tests.e2e.service import Service

pytestmark = pytest.mark.needs("dnsmasq")
DNSMASQ = (
    "dnsmasq --no-daemon --conf-file=/dev/null --port=0 --interface=serve0 --dhcp-authoritative --dhcp-range=10.97.0.50,10.97.0.59,120s"
)
NETWORKD = "[Match]\nName=lease0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
CONFIG = "/run/systemd/network/10-lease0.network"
PAGE = "http://127.0.0.1:19100/metrics"


@pytest.fixture
def leased(service: Service, network: Network, tmp_path: Path) -> Iterator[Service]:
    """The host with a lease of 120 s on `lease0`, requested by its own systemd-networkd."""
    far = Network()
    network.run("ip", "link", "add", "lease0", "type", "veth", "peer", "name", "serve0", "netns", str(far.tid))
    far.run("ip", "addr", "add", "10.97.0.1/24", "dev", "serve0")
    far.run("ip", "link", "set", "serve0", "up")
    server = far.start(*DNSMASQ.split(), f"--dhcp-leasefile={tmp_path / 'leases'}", stderr=subprocess.DEVNULL)
    service.host.write(CONFIG, NETWORKD)
    service.host.run("systemctl", "start", "systemd-networkd")
    try:
        yield service
    finally:
        service.host.run("systemctl", "stop", "systemd-networkd.socket", "systemd-networkd")
        service.host.file(CONFIG).unlink()
        network.run("ip", "link", "del", "lease0")
        server.terminate()
        server.wait()
        far.close()


def series(page: str, start: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith(start)]


def verdicts(service: Service) -> list[dict[str, Any]]:
    output = service.host.run("runuser", "-u", "vitald", "--", "/opt/vitald/current/bin/vitald", "check", "--format=json", check=False)
    found: list[dict[str, Any]] = json.loads(output.stdout)["findings"]
    return [verdict for verdict in found if verdict["check"] == "dhcp_lease"]


def test_a_lease_of_networkds_is_counted_and_its_loss_is_critical(leased: Service, network: Network, targets: Targets) -> None:
    assert targets
    health = 'vitald_health{check="dhcp_lease",subject="10.97.0.5'
    (line,) = wait(lambda: series(network.get(PAGE), health), "the lease", 60)
    assert line.endswith(" 0.0")
    (whole,) = series(network.get(PAGE), "vitald_dhcp_lease_duration_seconds{")
    assert 'interface="lease0"' in whole
    assert 110 < float(whole.split()[-1]) < 130
    (verdict,) = verdicts(leased)
    assert (verdict["evidence"]["client"], verdict["evidence"]["lease_file_seconds"]) == ("systemd-networkd", 120)
    leased.host.run("systemctl", "stop", "systemd-networkd.socket", "systemd-networkd")  # it removes the address
    wait(lambda: series(network.get(PAGE), health)[0].endswith(" 2.0"), "the loss")
