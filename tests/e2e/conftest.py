"""One boot for all end-to-end tests: a host with vitald installed and running, three targets in another network, and a Prometheus."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e.service import Service
from tests.kit.container import Container
from tests.kit.network import Network
from tests.kit.prometheus import Prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = ("systemd-nspawn", "debootstrap", "nsenter", "setpriv", "ip", "nft", "prometheus", "promtool")


@pytest.hookimpl(tryfirst=True)  # before the one that looks at these marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker("root")
            item.add_marker(pytest.mark.needs(*PROGRAMS))
            item.add_marker(pytest.mark.timeout(900))  # the first one on a machine waits for debootstrap


@dataclass(frozen=True)
class Targets:
    """`HOST:PORT` of a peer that answers, one that refuses, and one whose firewall drops."""

    open: str = "10.98.0.2:7001"
    refused: str = "10.98.0.2:7002"
    dropped: str = "10.98.0.2:7003"

    def settings(self) -> str:
        return f'[probe]\ntargets = ["{self.open}", "{self.refused}", "{self.dropped}"]\ninterval = "1s"\ntimeout = "500ms"\n'


@pytest.fixture(scope="session")
def host() -> Iterator[Container]:
    """A booted Debian with vitald installed, not started."""
    with Container() as container:
        container.install()
        yield container


@pytest.fixture(scope="session")
def network(host: Container) -> Iterator[Network]:
    """The host's network, from this side."""
    network = Network(host.pid)
    yield network
    network.close()


@pytest.fixture(scope="session")
def targets(network: Network) -> Iterator[Targets]:
    """Three peers, one wire away from the host."""
    peers = Network()
    network.wire(peers, "10.98.0.1/24", "10.98.0.2/24")
    peers.run("nft", "-f", "-", text="table ip t { chain input { type filter hook input priority 0; tcp dport 7003 drop; }; }")
    server = peers.call(socket.create_server, ("10.98.0.2", 7001))
    accepting = threading.Thread(target=_accept, args=(server,), daemon=True)
    accepting.start()  # what nobody accepts fills the queue, and after some minutes of probes the target would be gone for good
    yield Targets()
    server.shutdown(socket.SHUT_RDWR)
    accepting.join(10)
    server.close()
    peers.close()


def _accept(server: socket.socket) -> None:
    while True:
        try:
            server.accept()[0].close()
        except ConnectionAbortedError:
            continue
        except OSError:  # shut down
            return


@pytest.fixture(scope="session")
def installed(host: Container, targets: Targets) -> Service:
    """The service, started by systemctl for the first time, with settings of ours."""
    host.write("/etc/vitald/vitald.toml", targets.settings())
    service = Service(host)
    service.systemctl("start")
    return service


@pytest.fixture
def service(installed: Service, targets: Targets) -> Iterator[Service]:
    """The running service; whatever a test does to it is undone after it."""
    yield installed
    installed.restore(targets.settings())


@pytest.fixture(scope="session")
def prometheus(network: Network, installed: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus on that host that scrapes vitald."""
    assert installed
    prometheus = Prometheus(network, tmp_path_factory.mktemp("prometheus"))
    yield prometheus
    prometheus.close()
