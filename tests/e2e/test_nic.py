"""NIC collector of the installed daemon in its sandbox: real faults, and Prometheus' view of them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.kit.kernel_packages import MODULES, kernels_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Targets
    from tests.e2e.service import Service
    from tests.kit.container import Container
    from tests.kit.network import Network
    from tests.kit.prometheus import Prometheus

pytestmark = pytest.mark.needs("ethtool")

POLICY = """
[nic]
full_scan_interval = "5s"

[[nic.policy]]
interface = "data*"
driver = "veth"
offloads = { sg = true }
mtu = 1500
"""
PRINT_MODULES = """
import os
from pathlib import Path
from collectors.nic.boot.kernels import read_installed_kernels
found = read_installed_kernels(Path("/"), ("ixgbevf", "ena"), os.uname().machine)
modules = [(k.release, m.driver, m.origin, m.problem or m.unreadable) for k in found.kernels for m in k.modules.values()]
print("modules:", modules, found.chosen_by)
"""


@pytest.fixture
def data0(service: Service, network: Network, targets: Targets) -> Iterator[str]:
    """Interface of the host with a policy."""
    network.run("ip", "link", "add", "data0", "type", "veth", "peer", "name", "other0")
    for name in ("data0", "other0"):
        network.run("ip", "link", "set", name, "up")
    service.host.write("/etc/vitald/vitald.toml", targets.settings() + POLICY)
    service.systemctl("reload")
    yield "data0"
    network.run("ip", "link", "del", "data0")


@pytest.fixture
def installed_kernels(host: Container) -> Iterator[list[str]]:
    """Two real kernels' NIC modules in the host; the newer one lacks ixgbevf."""
    source, releases = kernels_root() / "lib/modules", []
    for folder in sorted(source.iterdir()):
        for part in ("modules.dep", "modules.builtin", *MODULES.values()):
            target = host.file(f"/usr/lib/modules/{folder.name}/{part}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / part, target)
        host.write(f"/boot/vmlinuz-{folder.name}", "")
        releases.append(folder.name)
    host.file(f"/usr/lib/modules/{releases[-1]}/{MODULES['ixgbevf']}").unlink()
    yield releases
    for release in releases:
        shutil.rmtree(host.file(f"/usr/lib/modules/{release}"))
        host.file(f"/boot/vmlinuz-{release}").unlink()


def test_offload_drift_is_a_finding_in_prometheus_and_clears(data0: str, network: Network, prometheus: Prometheus) -> None:
    prometheus.wait_for(f'vitald_health{{check="nic_offload",subject="{data0}"}} == 0')
    network.run("ethtool", "-K", data0, "sg", "off")
    prometheus.wait_for(f'vitald_nic_feature_enabled{{feature="sg",interface="{data0}"}} == 0')
    prometheus.wait_for(f'vitald_health{{check="nic_offload",subject="{data0}"}} == 1')
    network.run("ethtool", "-K", data0, "sg", "on")
    prometheus.wait_for(f'vitald_health{{check="nic_offload",subject="{data0}"}} == 0')
    network.run("ip", "link", "set", data0, "mtu", "1400")
    prometheus.wait_for(f'vitald_health{{check="nic_mtu",subject="{data0}"}} == 1')


def test_a_lost_carrier_and_another_driver_are_critical_in_prometheus(data0: str, network: Network, prometheus: Prometheus) -> None:
    prometheus.wait_for(f'vitald_health{{check="nic_link",subject="{data0}"}} == 0')
    network.run("ip", "link", "set", "other0", "down")
    prometheus.wait_for(f'vitald_health{{check="nic_link",subject="{data0}"}} == 2')
    network.run("ip", "link", "del", data0)
    network.run("ip", "tuntap", "add", data0, "mode", "tap")
    prometheus.wait_for(f'vitald_nic_driver_info{{interface="{data0}",driver="tun"}} == 1')
    prometheus.wait_for(f'vitald_health{{check="nic_driver",subject="{data0}"}} == 2')


def test_modules_are_read_in_the_units_sandbox(service: Service, installed_kernels: list[str]) -> None:
    older, newest = installed_kernels
    printed = service.run_in_sandbox(PRINT_MODULES, "modules:")
    assert f"('{older}', 'ixgbevf', 'in-tree', '')" in printed
    assert f"('{newest}', 'ena', 'in-tree', '')" in printed
    assert f"('{newest}', 'ixgbevf', 'missing', 'modules.dep lists" in printed
