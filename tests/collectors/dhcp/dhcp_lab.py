"""A real DHCP server at the other end of the wire, and a real client."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.collectors.nic.nic_lab import Namespace, namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

DNSMASQ = "dnsmasq --no-daemon --conf-file=/dev/null --port=0 --interface=two --dhcp-authoritative --dhcp-range=10.97.0.50,10.97.0.59,120s"


@contextmanager
def dhcp_server(client: Namespace) -> Iterator[subprocess.Popen[str]]:
    """Put the peer `two` of the client's `one` into a namespace of its own, with dnsmasq behind it, leases of 120 s."""
    with namespace("vdhcps") as server:
        leases = Path(f"/run/{server.name}.leases")
        client.run(f"ip link set two netns {server.name}")
        server.run("ip addr add 10.97.0.1/24 dev two")
        server.run("ip link set two up")
        try:
            yield server.start(*DNSMASQ.split(), f"--dhcp-leasefile={leases}", stderr=subprocess.DEVNULL)
        finally:
            leases.unlink(missing_ok=True)


def ask_for_a_lease(client: Namespace) -> None:
    """Run dhclient until it has a lease; it stays and renews. Its script writes a resolv.conf of the namespace's own."""
    own, folder = Path(f"/etc/netns/{client.name}"), Path(f"/run/{client.name}")
    for made in (own, folder):
        made.mkdir(parents=True)
        client.stack.callback(shutil.rmtree, made, ignore_errors=True)
    (own / "resolv.conf").write_text("")
    for name in ("leases", "pid"):
        (folder / name).touch()
    client.start("dhclient", "-d", "-4", "-lf", str(folder / "leases"), "-pf", str(folder / "pid"), "one", stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while "10.97.0.5" not in client.run("ip -4 addr show dev one"):
        assert time.monotonic() < deadline, "dhclient got no lease"
        time.sleep(0.1)
