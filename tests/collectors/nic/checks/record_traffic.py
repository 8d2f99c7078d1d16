"""Recorder of the kernel's counters while real TCP traffic flows, ends, or loses its path.

`python -m tests.collectors.nic.checks.record_traffic [NAME…]`, as root.

Each course runs in two namespaces for five minutes, and is written to `traffic/NAME.json`: every 10 s the counters that the collector
reads, by the collector's readers.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kit.nic_lab import REPOSITORY, Namespace, namespace

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).with_name("traffic")
STEP, PLATEAU, AFTER = 10.0, 200.0, 80.0

# Programs of the two namespaces: a server that reads everything and echoes requests, a client that makes the traffic.
SERVER = """
import socketserver
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while block := self.request.recv(65536):
            if block[:1] == b"?":
                self.request.sendall(block)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 1024
Server(("10.96.0.2", 7001), Handler).serve_forever()
"""
CLIENT = """
import socket, sys, threading, time
kind, end = sys.argv[1], time.monotonic() + float(sys.argv[2])
def bulk():  # a stream of 2 MB/s
    wire = socket.create_connection(("10.96.0.2", 7001))
    while time.monotonic() < end:
        wire.sendall(bytes(200_000)); time.sleep(0.1)
def asks():  # 50 requests a second, each on a connection of its own
    while time.monotonic() < end:
        try:
            with socket.create_connection(("10.96.0.2", 7001), 2) as wire:
                wire.sendall(b"?" * 8000); wire.settimeout(2); wire.recv(65536)
        except OSError:
            pass
        time.sleep(0.02)
def dead():  # probes of a peer that has been down all along
    while True:
        try:
            socket.create_connection(("10.96.0.9", 22), 2).close()
        except OSError:
            pass
        time.sleep(3)
def bursts():  # the stream with pauses
    while time.monotonic() < end:
        with socket.create_connection(("10.96.0.2", 7001)) as wire:
            for _ in range(250):
                wire.sendall(bytes(200_000)); time.sleep(0.1)
        time.sleep(50)
wanted = {"bulk": bulk, "asks": asks, "dead": dead, "bursts": bursts}
for name in kind.split("+"):
    threading.Thread(target=wanted[name], daemon=True).start()
time.sleep(float(sys.argv[3]))
"""
SAMPLER = """
import sys, time
from pathlib import Path
from collectors.nic.readers.sysfs import read_carrier_changes, read_byte_counters
from collectors.nic.readers.tcp_counters import read_tcp
import json
from dataclasses import astuple
end, step = time.monotonic() + float(sys.argv[1]), float(sys.argv[2])
began = time.monotonic()
while time.monotonic() < end:
    link, tcp = read_byte_counters(Path("/sys"), "one"), read_tcp(Path("/proc"))
    row = [round(time.monotonic() - began, 2), link.rx_bytes, link.tx_bytes, read_carrier_changes(Path("/sys"), "one"), *astuple(tcp)]
    print(json.dumps(row), flush=True)
    time.sleep(step)
"""


def drop(lab: Namespace) -> None:
    """Drop everything beyond the interface; the carrier stays."""
    lab.run("nft add table ip gone")
    lab.run("nft add chain ip gone in { type filter hook prerouting priority -300 ; policy drop ; }")


def lossy(lab: Namespace) -> None:
    """Lose one packet in fifty."""
    lab.run("nft add table ip bad")
    lab.run("nft add chain ip bad in { type filter hook prerouting priority -300 ; }")
    lab.run("nft add rule ip bad in numgen random mod 100 < 2 drop")


def unplug(lab: Namespace) -> None:
    """Remove the carrier."""
    lab.run("ip link set two down")


COURSES: dict[str, tuple[str, bool, Callable[[Namespace], None] | None, Callable[[Namespace], None] | None]] = {
    # name: traffic, True if it ends by itself, what is done to the far end from the start, and after the plateau
    "bulk-ends": ("bulk", True, None, None),
    "bulk-dies": ("bulk", False, None, drop),
    "bulk-unplugged": ("bulk", False, None, unplug),
    "asks-end": ("asks", True, None, None),
    "asks-die": ("asks", False, None, drop),
    "asks-end-beside-a-dead-peer": ("asks+dead", True, None, None),
    "bulk-ends-beside-a-dead-peer": ("bulk+dead", True, None, None),
    "bursts": ("bursts", False, None, None),
    "bursts-with-loss": ("bursts", False, lossy, None),
    "bulk-with-loss-ends": ("bulk", True, lossy, None),
}


def record(name: str) -> None:
    """Run one course and write its recording."""
    kind, ends, at_first, then = COURSES[name]
    with namespace("vnear") as near, namespace("vfar") as far:
        near.run(f"ip link add one type veth peer name two netns {far.name}")
        for lab, link, address in ((near, "one", "10.96.0.1/24"), (far, "two", "10.96.0.2/24")):
            lab.run(f"ip addr add {address} dev {link}")
            lab.run(f"ip link set {link} up")
        far.start(sys.executable, "-c", SERVER)
        time.sleep(1)
        if at_first:
            at_first(far)
        near.start(sys.executable, "-c", CLIENT, kind, str(PLATEAU if ends else 1e6), str(PLATEAU + AFTER + 60))
        sampler = near.start(sys.executable, "-c", SAMPLER, str(PLATEAU + AFTER), str(STEP), stdout=-1, cwd=REPOSITORY)
        time.sleep(PLATEAU)
        if then:
            then(far)
        rows, _ = sampler.communicate(timeout=AFTER + 60)
    lines = ",\n".join(rows.splitlines())
    (FOLDER / f"{name}.json").write_text(f"[\n{lines}\n]\n")
    json.loads((FOLDER / f"{name}.json").read_text())
    print(name, "recorded", flush=True)


if __name__ == "__main__":
    threads = [threading.Thread(target=record, args=(name,)) for name in sys.argv[1:] or COURSES]
    for thread in threads:
        thread.start()
        time.sleep(0.3)
    for thread in threads:
        thread.join()
