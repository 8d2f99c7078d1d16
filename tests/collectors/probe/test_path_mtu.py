"""Path MTU over real paths that are narrow in the middle, and a child that does not do what it is for."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.collectors.probe.paths import FAR, FAR6, path

if TYPE_CHECKING:
    from tests.collectors.probe.conftest import Lab

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "nft")]


@pytest.mark.parametrize("mtu", [1500, 9001])
def test_where_all_is_well_the_whole_mtu_passes(tmp_path: Path, mtu: int) -> None:
    with path(tmp_path, mtu, mtu) as lab:
        lab.serve(lab.far, "80")
        said = lab.search(FAR, FAR6)["targets"]
        assert [said[target]["metric"] for target in (FAR, FAR6)] == [mtu, mtu]
        assert [said[target]["level"] for target in (FAR, FAR6)] == [0, 0]
        assert lab.half_open() == ""


def test_a_black_hole_is_found_and_measured_without_any_icmp(tmp_path: Path) -> None:
    with path(tmp_path, middle=1500) as lab:
        lab.serve(lab.far, "80")
        lab.block_icmp()
        said = lab.search(FAR, FAR6, "10.98.3.2:99")["targets"]
        for target in said:
            assert (said[target]["metric"], said[target]["black_hole"], said[target]["level"]) == (1500, True, 2), target
        assert "packets above 1500 bytes are lost and no ICMP says so" in said[FAR]["message"]
        assert lab.half_open() == ""


def test_with_icmp_let_through_the_router_is_named_and_nothing_is_wrong(tmp_path: Path) -> None:
    with path(tmp_path, middle=1500) as lab:
        lab.serve(lab.far, "80")
        said = lab.search(FAR, FAR6)["targets"]
        assert [said[target]["metric"] for target in (FAR, FAR6)] == [1500, 1500]
        assert [said[target]["hop"] for target in (FAR, FAR6)] == ["10.98.1.1", "fd98:1::1"]
        assert [said[target]["level"] for target in (FAR, FAR6)] == [0, 0]
        assert "10.98.1.1 says so" in said[FAR]["message"]


def test_where_the_targets_own_mss_is_small_tcp_is_spared(tmp_path: Path) -> None:
    with path(tmp_path, middle=1500) as lab:
        lab.ip("-n", lab.far, "link", "set", "in3", "mtu", "1500")
        lab.serve(lab.far, "80")
        lab.block_icmp()
        said = lab.search(FAR, FAR6)["targets"]
        assert [said[target]["level"] for target in (FAR, FAR6)] == [1, 1]
        assert "TCP is spared by the target's MSS of 1460" in said[FAR]["message"]


def test_an_odd_limit_is_found_to_the_byte(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.serve(lab.far, "80")
        lab.filter(lab.first, "forward", "meta length > 1423 drop")
        said = lab.search(FAR)["targets"]
        assert (said[FAR]["metric"], said[FAR]["black_hole"]) == (1423, True)


def test_a_target_that_drops_padded_syns_is_no_black_hole(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.serve(lab.far, "80")
        lab.filter(lab.far, "input", "tcp flags & (syn | ack) == syn meta length > 90 drop")
        said = lab.search(FAR)["targets"]
        assert (said[FAR]["padded_dropped"], said[FAR]["black_hole"], said[FAR]["level"], said[FAR]["metric"]) == (True, False, 0, None)
        assert "drops SYNs that carry data" in said[FAR]["message"]


def test_where_one_packet_in_twenty_is_lost_on_the_way_back_nothing_is_taken_for_a_black_hole(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        ports = [str(port) for port in range(2000, 2040)]
        lab.serve(lab.far, *ports)
        lab.filter(lab.far, "output", "tcp flags & (syn | ack) == (syn | ack) numgen random mod 100 < 5 drop")
        said = lab.search(*(f"10.98.3.2:{port}" for port in ports))["targets"]
        assert {one["metric"] for one in said.values()} == {9001}
        assert {one["level"] for one in said.values()} == {0}


def test_a_silent_target_and_one_without_a_route_are_not_blamed(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.filter(lab.far, "input", "tcp dport 80 drop")
        lab.ip("-n", lab.near, "route", "add", "unreachable", "10.88.0.0/16")
        said = lab.search(FAR, "10.88.0.1:80")["targets"]
        assert "a bare SYN is not answered" in said[FAR]["message"]
        assert said["10.88.0.1:80"]["local"] == errno.EHOSTUNREACH
        assert {one["level"] for one in said.values()} == {0}


@pytest.mark.fault(44)
def test_the_hosts_own_tcp_is_not_disturbed_and_says_nothing(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.serve(lab.far, "80")
        lab.search(FAR, FAR6)
        counters = dict(line.split()[:2] for line in lab.inside(lab.near, "nstat", "-az", "TcpOutRsts").splitlines()[1:])
        assert counters == {"TcpOutRsts": "0"}
        assert lab.half_open() == ""


@pytest.mark.fault(13)
def test_without_the_capability_it_is_unavailable_and_says_so(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        script = str(Path(__file__).parent / "searches.py")
        words = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        said = json.loads(lab.inside(lab.near, *words, sys.executable, script, json.dumps({"targets": [FAR]})))
        assert said["unavailable"].startswith("permission: crafted packets need CAP_NET_RAW")


READY = "import os, sys; print('{\"ready\": true}', flush=True); "
WAIT = "; sys.stdin.read()"
BAD_CHILDREN = {
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": "was killed by SIGKILL",
    READY + "os.kill(os.getpid(), 11)": "was killed by SIGSEGV",
    READY + "import time; time.sleep(60)": "did not answer in time",
    "import sys; print('all is well', flush=True)" + WAIT: "said what is no answer",
    READY + 'print(\'{"id": 77, "kind": "syn_ack"}\', flush=True)' + WAIT: "answered shot 77, which is not out",
    READY + 'print(\'{"id": 1, "kind": "fine"}\', flush=True)' + WAIT: "is no answer: Invalid enum value 'fine'",
    READY + "print('x' * 100000, flush=True)" + WAIT: "said a line of more than",
    READY + "os.write(1, bytes(range(256)) + b'\\n')" + WAIT: "is no answer: JSON is malformed",
    "raise SystemExit(3)": "ended with status 3",
}


@pytest.mark.parametrize(("program", "complaint"), BAD_CHILDREN.items(), ids=BAD_CHILDREN.values())
def test_a_child_that_fails_costs_the_round_and_nothing_else(lab: Lab, program: str, complaint: str) -> None:
    order: dict[str, Any] = {"targets": ["10.77.1.2:80"], "command": [sys.executable, "-c", program], "seconds": 1}
    said = json.loads(lab.inside(lab.near, sys.executable, str(Path(__file__).parent / "searches.py"), json.dumps(order)))
    assert complaint in said["failure"]
    assert said["children"] == [""]
