"""A fleet of 10,000 hosts on the list: how long choosing 20 peers takes, and what the list costs in memory."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import TYPE_CHECKING

from collectors.model import CollectorContext
from collectors.probe.targets.mesh import REFRESH_SECONDS, Mesh
from collectors.probe.targets.rendezvous import choose
from tests.kit import peers
from tests.kit.program import BenchError
from tests.kit.results import Row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kit.peers import Served

ISSUE = 3
HOSTS = 10_000
PEERS = 20
QUICK_ENOUGH = 0.05  # seconds
SMALL_ENOUGH = 5e6  # bytes
CHANGES = 3  # of the list, while the daemon runs
_SETTLE = float(os.environ.get("VITALD_BENCH_SECONDS", "20"))


def measure(folder: Path) -> list[Row]:
    """Time the choice and the whole read of the list, then compare two daemons: one with 20 targets, one with a fleet of 10,000."""
    with socket.create_server(("0.0.0.0", 0), backlog=4096) as server:  # noqa: S104 — each 127.x.y.z of loopback is a host of its own
        port = server.getsockname()[1]
        path = folder / "fleet.json"
        path.write_text(fleet(port))
        return [*times(path), *memory(folder, path, port)]


def fleet(port: int, version: int = 0) -> str:
    """Write a list of the fleet as ec2_sd would label it, about 300 bytes a host."""
    return json.dumps([
        {
            "targets": [f"127.{10 + at // 2500}.{at // 50 % 50}.{at % 50 + 1}:{port}"],
            "labels": {
                "availability_zone": f"eu-west-1{'abc'[at % 3]}", "instance_id": f"i-{at:017x}", "instance_type": "m6i.2xlarge",
                "service": f"service-{at % 40}", "name": f"web-{at}.internal.example.org", "version": f"{version}",
            },
        }
        for at in range(HOSTS)
    ])  # fmt: skip


def times(path: Path) -> list[Row]:
    """Time many choices, and a few looks at a changed list."""
    names = [(target, group["labels"]["availability_zone"]) for group in json.loads(path.read_text()) for target in group["targets"]]
    chosen = min(timed(lambda: choose("10.0.0.1:22", names, PEERS)) for _ in range(51))
    looked = min(
        timed(lambda: Mesh([str(path)], PEERS, "availability_zone", ("service",), CollectorContext()).refresh(0)) for _ in range(11)
    )
    size = f"{path.stat().st_size / 1e6:.1f} MB of JSON"
    return [
        Row(
            f"choosing {PEERS} of {HOSTS:,} peers, the quickest of 51 on a shared machine",
            "< 50 ms",
            f"{chosen * 1e3:.1f} ms",
            "-",
            "-",
            chosen < QUICK_ENOUGH,
        ),
        Row(f"the same with reading and checking {size}", "-", f"{looked * 1e3:.0f} ms", "-", "-", met=None),
    ]


def timed(what: Callable[[], object]) -> float:
    """Time one call."""
    begun = time.perf_counter()
    what()
    return time.perf_counter() - begun


def memory(folder: Path, path: Path, port: int) -> list[Row]:
    """Compare resident memory at rest, and after the list has changed several times."""
    listed = [f"127.10.0.{at + 1}:{port}" for at in range(PEERS)]
    alone = f"[probe]\ntargets = {listed!r}\n"
    meshed = f'[probe]\nmesh_files = ["{path}"]\nmesh_peers = {PEERS}\ntarget_labels = ["service"]\n'
    with peers.vitald(folder, alone, name="listed") as few, peers.vitald(folder, meshed, name="meshed") as many:
        wait_for_peers(many)
        time.sleep(_SETTLE)
        first = many.program.memory().rss - few.program.memory().rss
        for version in range(1, CHANGES + 1):
            path.write_text(fleet(port, version))
            time.sleep(REFRESH_SECONDS + 6)
        last = many.program.memory().rss - few.program.memory().rss
        without = few.program.memory().rss
    title = f"resident memory with {HOSTS:,} hosts in mesh_files, beside the same daemon with {PEERS} targets"
    return [
        Row(title, "< 5 MB more", f"{first / 1e6:+.1f} MB", f"{without / 1e6:.1f} MB", "-", first < SMALL_ENOUGH),
        Row(f"the same after the list has changed {CHANGES} times", "< 5 MB more", f"{last / 1e6:+.1f} MB", "-", "-", last < SMALL_ENOUGH),
    ]


def wait_for_peers(served: Served) -> None:
    """Wait until the daemon has chosen and probed."""
    limit = time.monotonic() + 60
    while served.total("vitald_probe_attempts_total") < PEERS:
        if time.monotonic() > limit:
            raise BenchError("the mesh made no probe in a minute")
        time.sleep(0.5)
