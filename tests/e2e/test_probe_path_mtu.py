"""Path MTU over real paths of four hosts that are narrow, or lossy, or silent somewhere."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.kit.path_lab import FAR, FAR6, PathLab, path

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "nft")]


@pytest.mark.parametrize("mtu", [1500, 9001])
def test_where_all_is_well_the_whole_mtu_passes(tmp_path: Path, mtu: int) -> None:
    with path(tmp_path, mtu, mtu) as lab:
        lab.serve(lab.far, "80")
        output = lab.search(FAR, FAR6)["targets"]
        assert [output[target]["metric"] for target in (FAR, FAR6)] == [mtu, mtu]
        assert [output[target]["level"] for target in (FAR, FAR6)] == [0, 0]
        assert lab.half_open() == ""


def test_with_icmp_let_through_the_router_is_named_and_nothing_is_wrong(tmp_path: Path) -> None:
    with path(tmp_path, middle=1500) as lab:
        lab.serve(lab.far, "80")
        output = lab.search(FAR, FAR6)["targets"]
        assert [output[target]["metric"] for target in (FAR, FAR6)] == [1500, 1500]
        assert [output[target]["hop"] for target in (FAR, FAR6)] == ["10.98.1.1", "fd98:1::1"]
        assert [output[target]["level"] for target in (FAR, FAR6)] == [0, 0]
        assert "ICMP error from 10.98.1.1" in output[FAR]["message"]
        assert " mtu 1500" not in lab.inside(lab.near, "ip", "route", "get", "10.98.3.2")  # the kernel has learnt nothing


def test_where_the_targets_own_mss_is_small_tcp_is_spared(tmp_path: Path) -> None:
    with path(tmp_path, middle=1500) as lab:
        lab.ip("-n", lab.far, "link", "set", "in3", "mtu", "1500")
        lab.serve(lab.far, "80")
        lab.block_icmp()
        output = lab.search(FAR, FAR6)["targets"]
        assert [output[target]["level"] for target in (FAR, FAR6)] == [1, 1]
        assert "TCP is not affected at the target's MSS of 1460" in output[FAR]["message"]


def test_an_odd_limit_is_found_to_the_byte(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.serve(lab.far, "80")
        lab.filter(lab.first, "forward", "meta length > 1423 drop")
        output = lab.search(FAR)["targets"]
        assert (output[FAR]["metric"], output[FAR]["black_hole"]) == (1423, True)


def test_a_target_that_drops_padded_syns_is_no_black_hole(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.serve(lab.far, "80")
        lab.filter(lab.far, "input", "tcp flags & (syn | ack) == syn meta length > 90 drop")
        output = lab.search(FAR)["targets"]
        assert (output[FAR]["padded_dropped"], output[FAR]["black_hole"], output[FAR]["level"], output[FAR]["metric"]) == (
            True,
            False,
            0,
            None,
        )
        assert "drops SYNs that carry data" in output[FAR]["message"]


def test_where_one_packet_in_twenty_is_lost_on_the_way_back_nothing_is_taken_for_a_black_hole(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        ports = [str(port) for port in range(2000, 2040)]
        lab.serve(lab.far, *ports)
        lab.filter(lab.far, "output", "tcp flags & (syn | ack) == (syn | ack) numgen random mod 100 < 5 drop")
        output = lab.search(*(f"10.98.3.2:{port}" for port in ports))["targets"]
        assert {one["metric"] for one in output.values()} == {9001}
        assert {one["level"] for one in output.values()} == {0}


def test_a_silent_target_and_one_without_a_route_have_no_finding(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.filter(lab.far, "input", "tcp dport 80 drop")
        lab.ip("-n", lab.near, "route", "add", "unreachable", "10.88.0.0/16")
        output = lab.search(FAR, "10.88.0.1:80")["targets"]
        assert "a bare SYN is not answered" in output[FAR]["message"]
        assert output["10.88.0.1:80"]["send_error"] == errno.EHOSTUNREACH
        assert {one["level"] for one in output.values()} == {0}


@pytest.mark.fault(44)
def test_the_hosts_own_tcp_is_not_disturbed_and_sends_nothing(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.serve(lab.far, "80")
        lab.search(FAR, FAR6)
        counters = dict(line.split()[:2] for line in lab.inside(lab.near, "nstat", "-az", "TcpOutRsts").splitlines()[1:])
        assert counters == {"TcpOutRsts": "0"}
        assert lab.half_open() == ""


def vitald(lab: PathLab, *flags: str) -> tuple[int, str]:
    words = ["ip", "netns", "exec", lab.near, sys.executable, "-m", "daemon", "probe", *flags]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_the_command_line_finds_the_black_hole_and_the_way(tmp_path: Path) -> None:
    with path(tmp_path, middle=1500) as lab:
        lab.serve(lab.far, "80")
        lab.block_icmp()
        code, output = vitald(lab, "--mtu", FAR, FAR6)
        assert code == 1
        assert output.count("path MTU: 1500 bytes") == 2
        assert "black hole: packets above 1500 bytes are lost" in output
        code, output = vitald(lab, "--trace", FAR, FAR6, "--format", "json")
        assert code == 0
        ways = {one["target"]: [hop["address"] for hop in one["hops"]] for one in json.loads(output)["targets"]}
        assert ways == {FAR: ["10.98.1.1", "10.98.2.2"], FAR6: ["fd98:1::1", "fd98:2::2"]}
        code, output = vitald(lab, "--trace", "10.98.3.2:99", "10.98.3.9:80")
        assert code == 1
        assert re.search(r"3  10\.98\.3\.2 +refuses", output)
        assert re.search(r"2  10\.98\.2\.2 .*\n +10\.98\.3\.9 +no answer|ICMP unreachable from 10\.98\.2\.2", output)


def test_the_command_line_probes_half_open(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.serve(lab.far, "80")
        code, output = vitald(lab, "--syn", "-c", "2", "-i", "0.05", FAR, FAR6)
        assert code == 0
        assert output.count("SYNs: 2 sent, 2 answered, 0 lost") == 2
        assert lab.inside(lab.far, "nstat", "-az", "TcpPassiveOpens").split()[-2] == "0"
        code, output = vitald(lab, "--mtu", "127.0.0.1:1")
        assert (code, "it is this very host" in output) == (1, True)
