"""Six real daemons in network namespaces watch each other; a real Prometheus with the shipped rules says who is to blame."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.prometheus_program import command

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "nft", "prometheus")]

ROOT = Path(__file__).parents[2]
HOSTS = range(1, 7)
RULES = ROOT / "exporters/prometheus/rules/blame.yml"
ENVIRONMENT = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "PYTHONPATH": str(ROOT)}
BLAMED = {
    "target_down": ("target", "target_zone"),
    "host_down": ("host", "target_zone"),
    "prober_at_fault": ("instance", "zone"),
    "zone_pair_at_fault": ("zone", "target_zone"),
}
_FETCH = "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"


def zone(host: int) -> str:
    return "ab"[host % 2]


class Wire:
    """A bridge in a namespace where Prometheus runs (10.96.0.254), and a namespace for each host (10.96.0.N, zones a and b)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hub = f"vdmesh-{os.getpid()}hub"
        self._running: list[subprocess.Popen[bytes]] = []
        self._daemons: dict[int, subprocess.Popen[bytes]] = {}

    def name(self, host: int) -> str:
        return f"vdmesh-{os.getpid()}h{host}"

    def up(self) -> None:
        self.ip("netns", "add", self._hub)
        self.ip("-n", self._hub, "link", "add", "wire", "type", "bridge")
        for host in HOSTS:
            self.ip("netns", "add", self.name(host))
            ends = "link", "add", f"h{host}", "netns", self._hub, "type", "veth", "peer", "name", "wire", "netns", self.name(host)
            self.ip(*ends)
            self.ip("-n", self._hub, "link", "set", f"h{host}", "master", "wire", "up")
            self._address(self.name(host), host)
        self._address(self._hub, 254)

    def _address(self, where: str, number: int) -> None:
        self.ip("-n", where, "addr", "add", f"10.96.0.{number}/24", "dev", "wire")
        for link in ("lo", "wire"):
            self.ip("-n", where, "link", "set", link, "up")

    def ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, env=ENVIRONMENT, timeout=30)

    def nft(self, host: int, rules: str) -> None:
        """Replace the rules of a host; "" takes them away."""
        chain = f"table inet mesh {{ chain i {{ type filter hook input priority 0; {rules}\n }}\n}}"
        text = f"table inet mesh {{}}\ndelete table inet mesh\n{chain if rules else ''}\n"
        words = ["ip", "netns", "exec", self.name(host), "nft", "-f", "-"]
        subprocess.run(words, input=text.encode(), check=True, env=ENVIRONMENT, timeout=30)

    def start(self, where: str, *words: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{where}.log").open("wb")
        command = ["ip", "netns", "exec", where, *words]
        self._running.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=ENVIRONMENT, cwd=ROOT))
        return self._running[-1]

    def stop(self, host: int) -> None:
        """Kill the agent of a host."""
        self._daemons[host].kill()
        self._daemons[host].wait(20)

    def daemons(self) -> None:
        groups = [{"targets": [f"10.96.0.{host}:19100"], "labels": {"availability_zone": zone(host)}} for host in HOSTS]
        fleet, settings = self.folder / "fleet.json", self.folder / "vitald.toml"
        fleet.write_text(json.dumps(groups))
        settings.write_text(f'[probe]\ninterval = "1s"\ntimeout = "400ms"\nmesh_files = ["{fleet}"]\n')
        for host in HOSTS:
            (self.folder / f"{host}.state").mkdir()
            self.daemon(host)

    def daemon(self, host: int) -> None:
        """Start the agent of a host."""
        own = [f"--web.listen-address=10.96.0.{host}:19100", f"--state.directory={self.folder}/{host}.state"]
        only = ["--collector.disable-defaults", "--collector.probe", f"--config.file={self.folder}/vitald.toml"]
        self._daemons[host] = self.start(self.name(host), sys.executable, "-m", "daemon", "run", *own, *only)

    def prometheus(self) -> None:
        """Scrape all of them each second, with the rules' windows shortened: a minute and a half is six seconds here."""
        rules = RULES.read_text().replace("[90s]", "[6s]").replace("[45s]", "[3s]")
        assert {"[6s]", "[3s]"} <= set(re.findall(r"\[\d+s\]", rules))
        (self.folder / "blame.yml").write_text(rules)
        targets = [f"10.96.0.{host}:19100" for host in HOSTS]
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "900ms", "evaluation_interval": "1s"},
            "rule_files": [str(self.folder / "blame.yml")],
            "scrape_configs": [{"job_name": "vitald", "static_configs": [{"targets": targets}]}],
        }
        (self.folder / "prometheus.yml").write_text(json.dumps(config))
        self.start(self._hub, *command(self.folder, "127.0.0.1:9090"))

    def query(self, expression: str) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:9090/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        words = ["ip", "netns", "exec", self._hub, sys.executable, "-c", _FETCH, url]
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=30)
        found: list[dict[str, Any]] = json.loads(done.stdout)["data"]["result"] if done.returncode == 0 else []
        return found

    def blamed(self) -> dict[str, set[tuple[str, ...]]]:
        """Return what the rules blame now."""
        found: dict[str, set[tuple[str, ...]]] = {name: set() for name in BLAMED}
        for series in self.query(f'{{__name__=~"vitald:({"|".join(BLAMED)}):bool"}} == 1'):
            labels = series["metric"]
            kind = labels["__name__"].split(":")[1]
            found[kind].add(tuple(labels[name] for name in BLAMED[kind]))
        return found

    def wait_for_blame(self, **expected: set[tuple[str, ...]]) -> None:
        """Wait until exactly these are to blame, and still are some evaluations later."""
        whole = {**{name: set() for name in BLAMED}, **expected}
        deadline, held = time.monotonic() + 60, 0
        while held < 2:
            found = self.blamed()
            held = held + 1 if found == whole else 0
            assert time.monotonic() < deadline, found
            time.sleep(1)

    def close(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(20)
        for name in (*map(self.name, HOSTS), self._hub):
            subprocess.run(["ip", "netns", "del", name], check=False, env=ENVIRONMENT, timeout=30)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    made = Wire(tmp_path)
    try:
        made.up()
        made.daemons()
        made.prometheus()
        yield made
    finally:
        made.close()


@pytest.mark.fault(145)
def test_a_real_fleet_blames_a_dead_host_a_deaf_prober_and_a_broken_way_between_zones(wire: Wire) -> None:
    deadline = time.monotonic() + 60
    while len(wire.query("vitald:target_probers:count == 5")) != len(HOSTS):  # each is watched by all others, and by none of itself
        assert time.monotonic() < deadline, (wire.folder / f"{wire.name(1)}.log").read_text()
        time.sleep(1)
    assert len(wire.query("vitald_probe_mesh_self_info")) == len(HOSTS)
    wire.wait_for_blame()

    wire.ip("-n", wire.name(3), "link", "set", "wire", "down")
    wire.wait_for_blame(target_down={("10.96.0.3:19100", "b")}, host_down={("10.96.0.3", "b")})
    wire.ip("-n", wire.name(3), "link", "set", "wire", "up")
    wire.wait_for_blame()

    wire.stop(3)  # its kernel answers with RST: the agent is gone, the host is not down
    wire.wait_for_blame(target_down={("10.96.0.3:19100", "b")})
    wire.daemon(3)
    wire.wait_for_blame()

    wire.nft(5, "tcp sport 19100 drop")  # what the others answer never arrives; they still reach it
    wire.wait_for_blame(prober_at_fault={("10.96.0.5:19100", "b")})
    wire.nft(5, "")

    first = ", ".join(f"10.96.0.{host}" for host in HOSTS if zone(host) == "a")
    for host in HOSTS:
        if zone(host) == "b":
            wire.nft(host, f"ip saddr {{ {first} }} tcp dport 19100 drop")
    wire.wait_for_blame(zone_pair_at_fault={("a", "b")})
