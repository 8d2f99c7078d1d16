"""The drills' fleet: namespaces as hosts in two zones around a router, each with a service and the real daemon."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from collectors.registry import COLLECTORS
from tests.drills.boot import Boot
from tests.drills.dhcp import Leased
from tests.drills.leak import Leak
from tests.drills.syslog import Syslog
from tests.kit.network import Network

if TYPE_CHECKING:
    import subprocess

ROOT = Path(__file__).parents[2]
ZONES = {"a": 1, "b": 2}
HOSTS_PER_ZONE = 3
AGENT, SERVICE, APP = 19100, 7000, 7001
JUMBO = "9000"
MORE_SETTINGS = {  # by collector, where it is there
    "path_mtu": '[path_mtu]\ninterval = "30s"\n',
    "nic": '[nic]\n[[nic.policy]]\ninterface = "eth0"\noffloads = { sg = true }\n[[nic.policy]]\ninterface = "app0"\ndriver = "bridge"\n',
    "logs": '[logs]\nkmsg = "FOLDER/kmsg"\njournal = "off"\nfiles = ["FOLDER/syslog"]\n',
}
RECORDED = "b3"  # its interface and its disk are those of a recorded EC2 instance, and no network card of this machine's has a driver
OWN_SYSFS = 'mount -t sysfs sysfs /sys && exec "$@"'  # or a collector would see the machine's interfaces instead of the namespace's


class Listener:
    """A service: accepts and hangs up, until it is closed."""

    def __init__(self, network: Network, address: str, port: int) -> None:
        self._network, self._place = network, (address, port)
        self.start()

    def start(self) -> None:
        """Begin to listen."""
        self._socket = self._network.call(socket.create_server, self._place)
        threading.Thread(target=self._serve, args=(self._socket,), daemon=True).start()

    def close(self) -> None:
        """Stop: connects are refused from now on."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                listener.accept()[0].close()
            except ConnectionError:  # reset before we came to it, as every probe does
                continue
            except OSError:
                return


class LabHost:
    """One host of the fleet."""

    def __init__(self, lab: Lab, zone: str, number: int) -> None:
        self.name, self.zone = f"{zone}{number}", zone
        self.address = f"10.95.{ZONES[zone]}.{number}"
        self.wire = f"wire-{self.name}"
        self.network = Network()
        self.folder = lab.folder / self.name
        self.folder.mkdir()
        (self.folder / "kmsg").touch()
        self._lab = lab
        self._agent: subprocess.Popen[bytes] | None = None
        self._connect()
        self.boot = Boot(self.folder) if self.name == RECORDED else None
        self.syslog = Syslog(self.network, self.folder)
        self.service = Listener(self.network, self.address, SERVICE)
        self.app = Listener(self.network, self.address, APP)

    def _connect(self) -> None:
        hub = self._lab.hub
        self.network.run("ip", "link", "set", "lo", "up")
        self.network.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", self.wire, "netns", str(hub.tid))
        self.network.run("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        self.network.run("ip", "link", "set", "eth0", "mtu", JUMBO, "up")
        hub.run("ip", "link", "set", self.wire, "master", f"zone-{self.zone}", "mtu", JUMBO, "up")
        self.network.run("ip", "route", "add", "default", "via", f"10.95.{ZONES[self.zone]}.254")

    @property
    def instance(self) -> str:
        """Prometheus' `instance` label of this host."""
        return f"{self.address}:{AGENT}"

    def start(self) -> None:
        """Start the daemon with the settings of the lab."""
        (self.folder / "vitald.toml").write_text(self._lab.settings(self))
        flags = [
            f"--config.file={self.folder}/vitald.toml",
            f"--state.directory={self.folder}/state",
            f"--web.listen-address=0.0.0.0:{AGENT}",
        ]
        if "memory" in COLLECTORS and self.name != "a1":
            flags.append("--no-collector.memory")  # all namespaces share the machine's memory: one host speaks of it
        if self.boot is not None:
            flags += [f"--path.rootfs={self.boot.root}", f"--path.sysfs={self.boot.root}/sys"]
        with (self.folder / "log").open("ab") as log:
            self._agent = self.network.start(
                *("unshare", "--mount", "sh", "-c", OWN_SYSFS, "sh", sys.executable, "-m", "daemon", "run", *flags), stderr=log, cwd=ROOT
            )

    def signal(self, number: int) -> None:
        """Send a signal to the daemon."""
        if self._agent is not None:
            self._agent.send_signal(number)

    def kill(self) -> None:
        """End the daemon as the OOM killer would."""
        if self._agent is not None:
            self._agent.send_signal(signal.SIGKILL)
            self._agent.wait()

    def metrics(self) -> list[str]:
        """Return the lines of its metrics page; none where it does not answer."""
        try:
            return self._lab.hub.get(f"http://{self.instance}/metrics", 2).splitlines()
        except OSError:
            return []

    def close(self) -> None:
        """Delete the host."""
        self.kill()
        for listener in (self.service, self.app):
            listener.close()
        self.syslog.close()
        self.network.close()


class Lab:
    """The router between the zones, and the hosts. Prometheus and Alertmanager run in the router's namespace."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        self.folder, self._settings = folder, settings
        self._stack = ExitStack()
        self.hub = Network()
        self._stack.callback(self.hub.close)
        self.hub.run("ip", "link", "set", "lo", "up")
        self.hub.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        for zone, number in ZONES.items():
            self.hub.run("ip", "link", "add", f"zone-{zone}", "type", "bridge")
            self.hub.run("ip", "addr", "add", f"10.95.{number}.254/24", "dev", f"zone-{zone}")
            self.hub.run("ip", "link", "set", f"zone-{zone}", "mtu", JUMBO, "up")  # changed by hand it stays, whatever a port's MTU
        self.hosts: dict[str, LabHost] = {}
        for zone in ZONES:
            for number in range(1, HOSTS_PER_ZONE + 1):
                host = LabHost(self, zone, number)
                self._stack.callback(host.close)
                self.hosts[host.name] = host
        self.leak = Leak()
        self._stack.callback(self.leak.stop)
        self._write_mesh()
        tenant = self.hosts["b2"]
        self.leased = Leased(tenant.network, tenant.folder, tenant.syslog)
        self._stack.callback(self.leased.close)
        self.hosts["a2"].network.run("ip", "link", "add", "app0", "type", "bridge")
        for host in self.hosts.values():
            host.start()

    def _write_mesh(self) -> None:
        entries = [
            {"targets": [f"{host.address}:{SERVICE}"], "labels": {"availability_zone": host.zone, "instance_id": f"i-{host.name}"}}
            for host in self.hosts.values()
        ]
        (self.folder / "mesh.json").write_text(json.dumps(entries))

    def settings(self, host: LabHost) -> str:
        """Write a host's settings: everybody watches everybody's service, and b1's application."""
        app = f'"10.95.{ZONES["b"]}.1:{APP}"'
        more = "".join(text.replace("FOLDER", str(host.folder)) for name, text in MORE_SETTINGS.items() if name in COLLECTORS)
        return f'[probe]\ntargets = [{app}]\nmesh_files = ["{self.folder}/mesh.json"]\n{more}{self._settings}'

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
