"""A path of four hosts in namespaces: near, two routers, far; the wire in the middle may be narrower than the others.

near 10.98.1.2 ── 10.98.1.1 first 10.98.2.1 ── 10.98.2.2 second 10.98.3.1 ── 10.98.3.2 far      (fd98:1:: … fd98:3:: alike)
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.kit.probe_lab import RUN_PATH_MTU, Lab, run

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
_numbers = itertools.count()

FAR, FAR6 = "10.98.3.2:80", "[fd98:3::2]:80"


class PathLab(Lab):
    """`near` probes, `far` is probed, `first` and `second` are the routers between."""

    first: str
    second: str

    def filter(self, where: str, hook: str, rules: str) -> None:
        self.nft(where, f"table inet t {{\n chain c {{ type filter hook {hook} priority 0;\n {rules}\n }}\n}}\n")

    def block_icmp(self) -> None:
        rules = "icmp type destination-unreachable drop\n icmpv6 type packet-too-big drop"
        for router in (self.first, self.second):
            self.filter(router, "output", rules)

    def search(self, *targets: str, **order: Any) -> dict[str, Any]:
        """Run the path_mtu collector on `near` once."""
        output = self.inside(self.near, sys.executable, RUN_PATH_MTU, json.dumps({"targets": targets, **order}))
        return dict(json.loads(output))

    def half_open(self) -> str:
        return self.inside(self.far, "ss", "-Htan", "state", "syn-recv")

    def close(self) -> None:
        super().close()
        for name in (self.first, self.second):
            subprocess.run(["ip", "netns", "del", name], check=False)


@contextmanager
def path(folder: Path, mtu: int = 9001, middle: int = 9001) -> Iterator[PathLab]:
    number = f"{os.getpid()}{next(_numbers)}"
    lab = PathLab(f"vdpath-{number}n", f"vdpath-{number}f", folder)
    lab.first, lab.second = f"vdpath-{number}a", f"vdpath-{number}b"
    hosts = [lab.near, lab.first, lab.second, lab.far]
    try:
        for host in hosts:
            run("ip", "netns", "add", host)
            run("ip", "-n", host, "link", "set", "lo", "up")
        for wire, (left, right) in enumerate(itertools.pairwise(hosts), start=1):
            _wire(wire, left, right, middle if wire == 2 else mtu)
        for router in (lab.first, lab.second):
            run("ip", "netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        ways = ((lab.near, "default", "1", "1"), (lab.first, "3", "2", "2"), (lab.second, "1", "2", "1"), (lab.far, "default", "3", "1"))
        for host, to, over, end in ways:
            four, six = ("default", "default") if to == "default" else (f"10.98.{to}.0/24", f"fd98:{to}::/64")
            run("ip", "-n", host, "route", "add", four, "via", f"10.98.{over}.{end}")
            run("ip", "-n", host, "-6", "route", "add", six, "via", f"fd98:{over}::{end}")
        yield lab
    finally:
        lab.close()


def _wire(wire: int, left: str, right: str, mtu: int) -> None:
    """Lay a link; the addresses' ends are those of the drawing above. Neighbour entries are permanent: no packet waits for one."""
    ends = ("2", "1") if wire == 1 else ("1", "2")
    macs = [f"02:00:00:98:{wire:02d}:0{end}" for end in ends]
    names = (f"out{wire}", f"in{wire}")
    run("ip", "link", "add", names[0], "address", macs[0], "netns", left, "type", "veth", "peer", "name", names[1], "netns", right)
    run("ip", "-n", right, "link", "set", names[1], "address", macs[1])
    for host, name, own, other, mac in ((left, names[0], *ends, macs[1]), (right, names[1], *reversed(ends), macs[0])):
        run("ip", "-n", host, "link", "set", name, "mtu", str(mtu), "up")
        run("ip", "-n", host, "addr", "add", f"10.98.{wire}.{own}/24", "dev", name)
        run("ip", "-n", host, "addr", "add", f"fd98:{wire}::{own}/64", "dev", name, "nodad")
        run("ip", "-n", host, "neigh", "add", f"fd98:{wire}::{other}", "lladdr", mac, "dev", name, "nud", "permanent")
