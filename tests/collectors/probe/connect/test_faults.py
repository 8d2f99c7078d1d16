"""Targets that fail in every way, and local errors, in network namespaces."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kit.probe_lab import Lab

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "nft")]

FILTER = "table inet t {{\n chain c {{ type filter hook {hook} priority 0;\n {rules}\n }}\n}}\n"


@pytest.mark.fault(41)
def test_each_way_to_fail_has_its_own_reason(lab: Lab) -> None:
    rules = "tcp dport 1001 drop\n tcp dport 1002 reject with tcp reset\n tcp dport 1003 reject with icmpx type host-unreachable\n"
    rules += " tcp dport 1004 reject with icmpx type no-route\n tcp dport 1005 reject with icmpx type admin-prohibited\n"
    rules += " tcp dport 83 tcp flags & (syn | ack) == ack reject with tcp reset"
    lab.nft(lab.far, FILTER.format(hook="input", rules=rules))
    lab.serve(lab.far, "80", "81:silent", "82:talks", "83")
    ports = ["80", "81", "82", "83", "99", "1001", "1002", "1003", "1004", "1005"]
    expected = dict(zip(ports, ["answered"] * 3 + ["reset", "refused", "timeout", "refused"] + ["prohibited"] * 3, strict=True))
    targets = [f"{host}:{port}" for host in ("10.77.1.2", "[fd77::2]") for port in ports]
    (states,) = lab.sweep(*targets)
    assert {target: state["reason"] for target, state in states.items()} == dict(zip(targets, [*expected.values()] * 2, strict=True))
    assert not any(state["local_error"] or state["router"] for state in states.values())
    for target, state in states.items():
        assert state["level"] == (0 if state["reason"] == "answered" else 1), target
        assert state["seconds"] < 1.9 or state["reason"] == "timeout", target
        assert bool(state["rtt"]) == (state["reason"] == "answered"), target
    assert states["10.77.1.2:1001"]["retransmits"] == 1
    assert "no answer to 2 SYNs" in states["10.77.1.2:1001"]["message"]


@pytest.mark.fault(41)
def test_lost_syns_are_counted_exactly_and_a_lossy_path_is_not_a_slow_one(lab: Lab) -> None:
    rules = "tcp dport 2000-2079 tcp flags & (syn | ack) == syn numgen random mod 100 < 30 counter drop"
    lab.nft(lab.far, FILTER.format(hook="input", rules=rules))
    lab.serve(lab.far, *(str(port) for port in range(2000, 2080)))
    (states,) = lab.sweep(*(f"10.77.1.2:{port}" for port in range(2000, 2080)))
    dropped = json.loads(lab.inside(lab.far, "nft", "-j", "list", "chain", "inet", "t", "c"))["nftables"]
    counted = next(part["counter"]["packets"] for item in dropped if "rule" in item for part in item["rule"]["expr"] if "counter" in part)
    lossy = [state for state in states.values() if state["reason"] == "answered" and state["retransmits"]]
    lost = [state for state in states.values() if state["reason"] == "timeout"]
    assert counted == sum(state["retransmits"] for state in lossy) + sum(1 + state["retransmits"] for state in lost) > 0
    assert {state["reason"] for state in states.values()} <= {"answered", "timeout"}
    assert lossy
    assert all(state["rtt"] < 500_000 < state["seconds"] * 1e6 for state in lossy)


@pytest.mark.fault(41)
def test_a_target_that_answers_late_is_slow_not_lossy(lab: Lab) -> None:
    lab.start(lab.near, sys.executable, str(Path(__file__).parent / "slow_peer.py"), ready="ready")
    (states,) = lab.sweep("10.78.0.2:400", "10.78.0.2:2000", "10.78.0.2:9000", interval="4s", timeout="2500ms")
    soon, late, never = states.values()
    assert (soon["reason"], soon["retransmits"]) == ("answered", 0)
    assert soon["rtt"] >= 400_000
    assert late["reason"] == "answered"
    assert late["rtt"] >= 1_900_000  # the SYN-ACK echoes the first SYN's timestamp: the kernel knows that nothing was lost
    assert late["seconds"] >= 1.9
    assert never["reason"] == "timeout"


@pytest.mark.fault(43)
def test_a_local_firewall_is_a_local_error(lab: Lab) -> None:
    rules = "tcp dport 1001 drop\n tcp dport 1002 reject\n tcp dport 1003 reject with icmpx type admin-prohibited"
    lab.nft(lab.near, FILTER.format(hook="output", rules=rules))
    lab.serve(lab.far, "80", "1001", "1002", "1003")
    ports = ["1001", "1002", "1003"]
    blocked = [f"10.77.1.2:{port}" for port in ports] + [f"[fd77::2]:{port}" for port in ports]
    states = lab.sweep("10.77.1.2:80", *blocked, sweeps=2)
    for state in states:
        assert state["10.77.1.2:80"]["level"] == 0
        for target in blocked:
            assert (state[target]["reason"], state[target]["local_error"], state[target]["in_a_row"]) == ("permission", True, 0), target
            assert state[target]["level"] == 1
            assert "this host itself" in state[target]["message"]
    assert states[1][blocked[0]]["failures"] == {"permission": 2}


@pytest.mark.fault(43)
def test_local_ports_used_up_are_a_local_error(lab: Lab) -> None:
    lab.serve(lab.far, "80", "81")
    lab.inside(lab.near, "sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40003")
    (states,) = lab.sweep("10.77.1.2:80", "10.77.1.2:81", hold=[["10.77.1.2", 80]] * 4)
    assert states["10.77.1.2:80"]["held"] == 4
    assert (states["10.77.1.2:80"]["reason"], states["10.77.1.2:80"]["local_error"]) == ("local_resources", True)
    assert states["10.77.1.2:80"]["level"] == 1
    assert states["10.77.1.2:80"]["in_a_row"] == 0
    assert states["10.77.1.2:81"]["reason"] == "answered"


@pytest.mark.fault(43)
def test_no_route_is_a_local_error(lab: Lab) -> None:
    lab.ip("-n", lab.near, "route", "add", "unreachable", "10.88.0.0/16")
    lab.ip("-n", lab.near, "route", "add", "prohibit", "10.89.0.0/16")
    (states,) = lab.sweep("192.0.2.1:80", "10.88.0.1:80", "10.89.0.1:80", "[2001:db8::1]:80")
    assert [state["reason"] for state in states.values()] == ["net_unreachable", "host_unreachable", "permission", "net_unreachable"]
    assert all(state["local_error"] and state["in_a_row"] == 0 and state["level"] == 1 for state in states.values())


@pytest.mark.fault(43)
def test_a_full_connection_table_is_a_local_error(lab: Lab) -> None:
    lab.nft(lab.near, FILTER.format(hook="output", rules="ct state new accept"))
    lab.serve(lab.far, "80")
    (states,) = lab.sweep("10.77.1.2:80", "[fd77::2]:80", conntrack=True)
    for state in states.values():
        assert (state["reason"], state["local_error"], state["in_a_row"]) == ("local_resources", True, 0)
        assert state["level"] == 1


def test_a_self_connect_is_refused(lab: Lab) -> None:
    lab.inside(lab.near, "sysctl", "-qw", "net.ipv4.ip_local_port_range=41001 41001")
    (states,) = lab.sweep("127.0.0.1:41001", "[::1]:41001")
    assert [state["reason"] for state in states.values()] == ["refused", "refused"]


def test_the_sender_of_an_icmp_error_is_reported(lab: Lab) -> None:
    lab.ip("-n", lab.near, "route", "add", "10.99.0.0/16", "via", "10.77.1.2")
    lab.inside(lab.far, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    (states,) = lab.sweep("10.99.0.1:80")
    (state,) = states.values()
    assert (state["reason"], state["local_error"], state["router"]) == ("net_unreachable", False, "10.77.1.2")
    assert state["in_a_row"] == 1
    assert "ICMP error from 10.77.1.2" in state["message"]
