"""A real DHCP server at the other end of a veth pair, and a real client."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kit.nic_lab import Namespace, namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IPV6 = 6
DNSMASQ = """dnsmasq --no-daemon --conf-file=/dev/null --port=0 --interface=two --dhcp-authoritative --enable-ra
--dhcp-range=10.97.0.50,10.97.0.59,120s --dhcp-range=fd97::50,fd97::59,64,120s"""


@contextmanager
def dhcp_server(client: Namespace) -> Iterator[subprocess.Popen[str]]:
    """Put the peer `two` of the client's `one` into a namespace of its own, with dnsmasq behind it, leases of 120 s."""
    with namespace("vdhcps") as server:
        leases = Path(f"/run/{server.name}.leases")
        client.run(f"ip link set two netns {server.name}")
        server.run("ip addr add 10.97.0.1/24 dev two")
        server.run("ip addr add fd97::1/64 dev two nodad")
        server.run("ip link set two up")
        try:
            yield server.start(*DNSMASQ.split(), f"--dhcp-leasefile={leases}", stderr=subprocess.DEVNULL)
        finally:
            leases.unlink(missing_ok=True)


def request_lease(client: Namespace, family: int = 4) -> None:
    """Run dhclient until it has a lease; it keeps running and renews. Its script writes the resolv.conf of the namespace."""
    etc, folder = Path(f"/etc/netns/{client.name}"), Path(f"/run/{client.name}")
    for made in (etc, folder):
        made.mkdir(parents=True)
        client.stack.callback(shutil.rmtree, made, ignore_errors=True)
    (etc / "resolv.conf").write_text("")
    for name in ("leases", "pid"):
        (folder / name).touch()
    if family == IPV6:  # it sends from its link-local address, which is tentative until duplicate address detection has ended
        wait_until(lambda: "inet6 fe80" in client.run("ip -6 addr show dev one -tentative"), "an address of the link")
    files = ["-lf", str(folder / "leases"), "-pf", str(folder / "pid")]
    client.start("dhclient", "-d", f"-{family}", *files, "one", stderr=subprocess.DEVNULL)
    leased = "fd97::5" if family == IPV6 else "10.97.0.5"
    wait_until(lambda: leased in client.run(f"ip -{family} addr show dev one"), "a lease")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll a condition for at most 30 s."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"dhclient: timeout waiting for {what}"
        time.sleep(0.1)
