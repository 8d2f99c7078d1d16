"""The mesh from files: peers, and this host's own entries."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from collectors.model import CollectorContext
from collectors.probe.targets.self_identity import SelfIdentity, read_self_identity
from tests.collectors.probe.targets.meshes import NOBODY, host, meshed, write

if TYPE_CHECKING:
    from pathlib import Path


def test_peers_come_with_their_labels_and_without_this_host(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    write(path, range(1, 11), service="db")
    found = meshed(path, host(tmp_path), labels=("availability_zone", "service", "rack"))
    assert found.refresh(0)
    assert found.selection.own == {"10.0.0.7:22": "b"}
    assert found.selection.hosts == 10
    assert found.selection.peers == {f"10.0.0.{number}:22": ("abc"[number % 3], "db", "") for number in range(1, 11) if number != 7}


@pytest.mark.parametrize("kind", ["hostname", "short", "instance", "inet6", "ports"])
def test_an_agent_recognizes_itself_by(kind: str, tmp_path: Path) -> None:
    mine = {
        "hostname": ["WEB1.eu.example:22"], "short": ["web1.eu.example:22"], "instance": ["192.0.2.1:22"], "inet6": ["[FD00:0::5]:22"],
        "ports": ["10.0.0.7:22", "10.0.0.7:443"],
    }[kind]  # fmt: skip
    others = ["10.0.0.8:22", "[fd00::6]:22", "web2.eu.example:22", "web11.eu.example:22"]
    inet6 = "fd000000000000000000000000000005 02 40 00 80 eth0\nnonsense\n"
    here = host(
        tmp_path, name="web1.eu.example" if kind == "hostname" else "web1", inet6=inet6, vendor="Amazon EC2", tag="i-0123456789abcdef0"
    )
    groups: list[dict[str, Any]] = [{"targets": mine}, {"targets": others, "labels": {"instance_id": "i-0123456789abcdef1"}}]
    if kind == "instance":
        groups[0]["labels"] = {"__meta_ec2_instance_id": "i-0123456789abcdef0"}
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(groups))
    found = meshed(path, here)
    found.refresh(0)
    assert sorted(found.selection.own) == sorted(mine)
    assert sorted(found.selection.peers) == sorted(others)


def test_two_hosts_of_the_same_short_name_are_both_probed() -> None:
    own = SelfIdentity(frozenset(), "web1", "")
    assert own.among(["web1.eu.example", "web1.us.example"]) == set()
    assert own.among(["web1.eu.example", "web1"]) == {"web1"}


def test_the_addresses_of_this_machine_are_read() -> None:
    own = read_self_identity(CollectorContext())
    assert {socket.inet_aton("127.0.0.1"), socket.inet_pton(socket.AF_INET6, "::1")} & own.addresses
    assert own.hostname == os.uname().nodename.lower()


def test_hosts_on_no_list_choose_differently_though_they_share_a_host_name() -> None:
    one, two = (SelfIdentity(frozenset({address}), "localhost", "") for address in (b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02"))
    assert one.key() != two.key()
    assert SelfIdentity(frozenset(), "localhost", "i-1").key() == "i-1"


def test_what_cannot_be_read_of_a_host_is_empty() -> None:
    assert read_self_identity(NOBODY).addresses == frozenset()
