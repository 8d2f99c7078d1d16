"""Targets that turn bad for many reasons, for real, and what is state of the reason."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.kit.path_lab import FAR, HERE, PathLab, path
from tests.kit.probe_lab import RUN_SWEEPS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "nft")]

OTHERS = [f"10.98.3.2:{port}" for port in range(2000, 2020)]


def serve(lab: PathLab, *ports: str) -> None:
    lab.serve(lab.far, *ports, *(str(port) for port in range(2000, 2020)))


@pytest.mark.fault(41)
def test_each_way_to_fail_is_traced_to_its_place(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.filter(lab.second, "forward", "tcp dport 80 drop\n tcp dport 81 reject with icmpx type admin-prohibited")
        serve(lab, "80", "81")
        (states,) = lab.sweep(FAR, "10.98.3.2:81", "10.98.3.2:99", "[fd98:3::2]:80", *OTHERS, check=True)
        dropped, rejected, refused, six = (states[target] for target in (FAR, "10.98.3.2:81", "10.98.3.2:99", "[fd98:3::2]:80"))
        assert dropped["message"].endswith(
            "SYN-ACK missing after hop 2 10.98.2.2; neighbour REACHABLE; 22 of 23 other targets answer: the target or its security group"
        )
        assert "SYN-ACK missing after hop 2 fd98:2::2; neighbour PERMANENT" in six["message"]
        assert rejected["reason"] == "prohibited"
        assert "ICMP prohibited from 10.98.2.2; neighbour REACHABLE; 21 of 23 other targets answer: a firewall rule" in rejected["message"]
        refusal = "the target itself refuses, 2 hops away; neighbour REACHABLE; 21 of 23 other targets answer: the service on it"
        assert refusal in refused["message"]
        hops = [(hop["ttl"], hop["address"]) for hop in dropped["diagnosis"]["trace"]]
        assert hops == [(1, "10.98.1.1"), (2, "10.98.2.2")]
        assert dropped["diagnosis"]["half_open_syn"]["kind"] == "silent"
        assert dropped["diagnosis"]["route"]["gateway"] == "10.98.1.1"
        assert dropped["diagnosis"]["route_from"] == {"table": "main", "protocol": "boot", "kind": "unicast"}
        assert dropped["diagnosis"]["next_hop"]["hardware"] == "02:00:00:98:01:01"
        assert dropped["diagnosis"]["link"]["kind"] == "veth"
        assert dropped["diagnosis"]["last"] == ["timeout"]
        assert json.dumps(dropped["diagnosis"])


@pytest.mark.fault(41)
def test_where_all_are_bad_it_is_this_host_or_its_network(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.filter(lab.first, "forward", "drop")
        (states,) = lab.sweep(FAR, *OTHERS[:4], check=True)
        for state in states.values():
            assert "SYN-ACK missing after hop 1 10.98.1.1" in state["message"]
            assert "4 of 4 other targets do not answer, either: this host or its network" in state["message"]


@pytest.mark.fault(145)
def test_refusals_accuse_services_and_never_this_host_or_its_network(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        (states,) = lab.sweep("10.98.3.2:99", "10.98.3.2:98", "10.98.2.2:97", check=True)
        for state in states.values():
            assert "refused once" in state["message"]
            assert "an answer, so its host is up" in state["message"]
            assert "2 of 2 other targets refuse, too: their services, not the network" in state["message"]
            assert "this host" not in state["message"]


@pytest.mark.fault(145)
def test_a_refusal_among_silent_targets_is_no_evidence_for_their_cause(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.filter(lab.second, "forward", "tcp dport { 2000-2003 } drop")
        (states,) = lab.sweep("10.98.3.2:99", *OTHERS[:4], check=True)
        refused, silent = states["10.98.3.2:99"]["message"], states[OTHERS[0]]["message"]
        assert "the service on it; that 4 of 4 other targets do not answer has another cause" in refused
        assert "3 of 4 other targets do not answer, either: something they share" in silent


@pytest.mark.fault(43)
def test_a_silent_gateway_and_no_route_are_local_errors(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.ip("-n", lab.near, "route", "add", "10.99.0.0/16", "via", "10.98.1.77")
        lab.ip("-n", lab.near, "route", "add", "unreachable", "10.88.0.0/16")
        (first, second) = lab.sweep("10.99.0.1:80", "10.88.0.1:80", "10.98.1.78:80", sweeps=2, check=True)
        for states in (first, second):
            gateway, nowhere, neighbour = states.values()
            assert (gateway["local_error"], gateway["in_a_row"], gateway["level"]) == (True, 0, 1)
            assert "no ARP or ND reply from the gateway 10.98.1.77 on out1" in gateway["message"]
            assert "this host has no route to it (no route to host)" in nowhere["message"]
            assert (nowhere["local_error"], nowhere["in_a_row"]) == (True, 0)
            assert not neighbour["local_error"]  # on the wire itself: it is off
            assert "no ARP or ND reply for its address on out1" in neighbour["message"]


@pytest.mark.fault(43)
def test_a_firewall_of_our_own_that_drops_the_answer_is_a_local_error(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        serve(lab, "80")
        lab.filter(lab.near, "input", "tcp sport 80 drop")
        first, second = lab.sweep(FAR, OTHERS[0], sweeps=2, check=True)
        assert "its SYN-ACK reaches this host, whose own firewall or rp_filter drops it" in first[FAR]["message"]
        assert (second[FAR]["local_error"], second[FAR]["reason"], second[FAR]["in_a_row"]) == (True, "permission", 1)
        assert second[FAR]["level"] == 1
        assert second[OTHERS[0]]["level"] == 0


@pytest.mark.fault(43)
def test_ports_used_up_and_a_firewall_on_the_way_out_are_named(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        serve(lab, "80")
        lab.filter(lab.near, "output", "tcp dport 2001 drop")
        lab.inside(lab.near, "sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40003")
        (states,) = lab.sweep(FAR, OTHERS[0], OTHERS[1], hold=[["10.98.3.2", 80]] * 4, check=True)
        assert (states[FAR]["reason"], states[FAR]["local_error"]) == ("local_resources", True)
        assert "this host itself refuses to send to it (address already in use)" in states[FAR]["message"]
        assert states[OTHERS[0]]["level"] == 0
        assert (states[OTHERS[1]]["reason"], states[OTHERS[1]]["local_error"]) == ("permission", True)


@pytest.mark.fault(44)
def test_forged_late_and_doubled_answers_are_ignored(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        lab.filter(lab.far, "input", "tcp dport { 80, 82 } drop")
        lab.serve(lab.far, "81")
        lab.start(lab.far, sys.executable, str(HERE / "forged_answers.py"), ready="ready")
        state = lab.search(FAR, "10.98.3.2:81", "10.98.3.2:82")["targets"]
        assert not state[FAR]["answered"]
        assert (state["10.98.3.2:81"]["metric"], state["10.98.3.2:81"]["hop"]) == (9001, "")
        assert (state["10.98.3.2:82"]["metric"], state["10.98.3.2:82"]["answered"]) == (9001, True)


@pytest.mark.fault(13)
def test_without_the_capability_the_rest_of_it_is_there(tmp_path: Path) -> None:
    with path(tmp_path) as lab:
        words = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", sys.executable]
        order = {"settings": {"targets": [FAR], "interval": "2s", "timeout": "300ms"}, "sweeps": 1, "check": True}
        state = json.loads(lab.inside(lab.near, *words, RUN_SWEEPS, json.dumps(order)))[FAR]
        assert "crafted packets need CAP_NET_RAW" in state["message"]
        assert "neighbour REACHABLE; there is no other target to compare with" in state["message"]
