"""A wire with the real dnsmasq at one end and the real dhclient of a drill's host at the other; leases of two minutes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.kit.network import Network

if TYPE_CHECKING:
    from pathlib import Path

    from tests.drills.syslog import Syslog

DNSMASQ = "dnsmasq --no-daemon --conf-file=/dev/null --port=0 --interface=dhcp --dhcp-authoritative --dhcp-range=10.97.0.50,10.97.0.59,120s"
OWN_RESOLVER = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'  # dhclient's script rewrites the file


class Leased:
    """A host's interface `dyn0` that lives on a lease."""

    def __init__(self, network: Network, folder: Path, syslog: Syslog) -> None:
        """Lease it in a host's namespace; what its client says goes to the host's own syslog."""
        self._folder = folder
        self._server = Network()
        self._server.run("ip", "link", "add", "dhcp", "type", "veth", "peer", "name", "dyn0", "netns", str(network.tid))
        self._server.run("ip", "addr", "add", "10.97.0.1/24", "dev", "dhcp")
        self._server.run("ip", "link", "set", "dhcp", "up")
        network.run("ip", "link", "set", "dyn0", "up")
        self._dnsmasq = self._serve()
        for name in ("leases", "pid", "resolv.conf"):
            (self._folder / name).touch()
        files = ["-lf", str(self._folder / "leases"), "-pf", str(self._folder / "pid")]
        own_resolver = ["sh", "-c", OWN_RESOLVER, str(self._folder / "resolv.conf")]
        command = syslog.inside(*own_resolver, "dhclient", "-d", "-4", *files, "dyn0")
        with (self._folder / "dhclient.log").open("wb") as log:
            self._client = network.start(*command, stdout=log, stderr=log)

    def _serve(self) -> subprocess.Popen[bytes]:
        leases = self._folder / "dnsmasq.leases"
        return self._server.start(*DNSMASQ.split(), f"--dhcp-leasefile={leases}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop_server(self) -> None:
        """Stop the server."""
        self._dnsmasq.kill()
        self._dnsmasq.wait()

    def start_server(self) -> None:
        """Answer again."""
        self._dnsmasq = self._serve()

    def close(self) -> None:
        """End client and server."""
        self._client.kill()
        self._client.wait()
        self.stop_server()
        self._server.close()
