"""The mesh from files: who this host is among them, and lists that empty, break, vanish or change every second."""

from __future__ import annotations

import json
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from collectors.model import Host
from collectors.probe import mesh
from collectors.probe.mesh import CALM, Mesh
from collectors.probe.own import Own, read_own
from collectors.probe.rendezvous import choose

if TYPE_CHECKING:
    from collections.abc import Iterable

NOBODY = Host(proc=Path("/nowhere"), sys=Path("/nowhere"), root=Path("/nowhere"))
FIB_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.0.0.0
        /24 link UNICAST
     |-- 10.0.0.7
        /32 host LOCAL
     |-- 10.0.0.255
        /32 link BROADCAST
Local:
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
"""


def write(path: Path, hosts: Iterable[int], **labels: str) -> None:
    groups = [{"targets": [f"10.0.0.{host}:22"], "labels": {"availability_zone": "abc"[host % 3], **labels}} for host in hosts]
    path.write_text(json.dumps(groups))


def host(folder: Path, *, name: str = "web1", inet6: str = "", vendor: str = "", tag: str = "") -> Host:
    """Make the files by which a host knows itself."""
    (folder / "proc/net").mkdir(parents=True)
    (folder / "proc/sys/kernel").mkdir(parents=True)
    (folder / "sys/class/dmi/id").mkdir(parents=True)
    (folder / "proc/net/fib_trie").write_text(FIB_TRIE)
    (folder / "proc/net/if_inet6").write_text(inet6)
    (folder / "proc/sys/kernel/hostname").write_text(f"{name}\n")
    (folder / "sys/class/dmi/id/sys_vendor").write_text(vendor)
    (folder / "sys/class/dmi/id/board_asset_tag").write_text(tag)
    return Host(proc=folder / "proc", sys=folder / "sys", root=folder)


def meshed(path: Path, here: Host = NOBODY, count: int = 20, labels: tuple[str, ...] = ()) -> Mesh:
    return Mesh([str(path)], count, "availability_zone", labels, here)


def test_peers_come_with_their_labels_and_without_this_host(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    write(path, range(1, 11), service="db")
    found = meshed(path, host(tmp_path), labels=("availability_zone", "service", "rack"))
    assert found.refresh(0)
    assert found.choice.own == {"10.0.0.7:22": "b"}
    assert found.choice.hosts == 10
    assert found.choice.peers == {f"10.0.0.{number}:22": ("abc"[number % 3], "db", "") for number in range(1, 11) if number != 7}


@pytest.mark.parametrize("kind", ["hostname", "short", "instance", "inet6", "ports"])
def test_an_agent_knows_itself_by(kind: str, tmp_path: Path) -> None:
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
    assert sorted(found.choice.own) == sorted(mine)
    assert sorted(found.choice.peers) == sorted(others)


def test_two_hosts_of_the_same_short_name_are_both_probed() -> None:
    own = Own(frozenset(), "web1", "")
    assert own.among(["web1.eu.example", "web1.us.example"]) == set()
    assert own.among(["web1.eu.example", "web1"]) == {"web1"}


def test_this_very_machine_knows_its_own_addresses() -> None:
    own = read_own(Host())
    assert {socket.inet_aton("127.0.0.1"), socket.inet_pton(socket.AF_INET6, "::1")} & own.addresses
    assert own.hostname == os.uname().nodename.lower()


def test_hosts_on_no_list_choose_differently_though_they_share_a_host_name() -> None:
    one, two = (Own(frozenset({address}), "localhost", "") for address in (b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02"))
    assert one.key() != two.key()
    assert Own(frozenset(), "localhost", "i-1").key() == "i-1"


def test_what_cannot_be_read_of_a_host_is_unknown() -> None:
    assert read_own(NOBODY).addresses == frozenset()


@pytest.mark.fault(59)
@pytest.mark.parametrize("broken", ["", "[", "[]", "{}", '[{"targets": ["nonsense"]}]', "\xff", None])
def test_a_list_that_breaks_empties_or_vanishes_changes_no_peer(broken: str | None, tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    write(path, range(1, 41))
    found = meshed(path)
    found.refresh(0)
    peers = found.choice.peers
    assert len(peers) == 20
    if broken is None:
        path.unlink()
    else:
        path.write_bytes(broken.encode("latin-1"))
    found.refresh(CALM)
    assert found.choice.peers == peers
    if broken != "[]":
        assert found.valid() == {str(path): False}
    if broken in {"[]", None}:
        assert found.choice.hosts == 0  # what an operator sees beside the peers that stayed
    write(path, range(2, 42))
    assert found.refresh(2 * CALM)
    assert found.valid() == {str(path): True}
    assert found.choice.hosts == 40
    assert "10.0.0.1:22" not in found.choice.peers


@pytest.mark.fault(59)
def test_one_empty_list_among_several_takes_its_hosts_with_it(tmp_path: Path) -> None:
    write(tmp_path / "a.json", range(1, 6))
    write(tmp_path / "b.json", range(6, 11))
    found = meshed(tmp_path / "*.json")
    found.refresh(0)
    assert len(found.choice.peers) == 10
    (tmp_path / "b.json").write_text("[]")
    found.refresh(CALM)
    assert sorted(found.choice.peers) == [f"10.0.0.{number}:22" for number in range(1, 6)]
    (tmp_path / "a.json").write_text("[{")
    (tmp_path / "b.json").write_text(json.dumps([{"targets": ["10.0.0.99:22"]}]))
    found.refresh(2 * CALM)
    assert len(found.choice.peers) == 6  # the broken one's last good hosts, and the new one


@pytest.mark.fault(59)
def test_a_list_that_changes_every_second_is_read_twice_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fleet.json"
    reads: list[int] = []

    def counted(me: str, hosts: Iterable[tuple[str, str]], count: int) -> list[str]:
        reads.append(count)
        return choose(me, hosts, count)

    monkeypatch.setattr(mesh, "choose", counted)
    found = meshed(path)
    for second in range(300):
        write(path, range(second % 200, second % 200 + 50))
        found.refresh(float(second))
    assert len(reads) == 10


def test_a_list_written_again_as_it_was_is_not_chosen_from_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fleet.json"
    write(path, range(1, 41))
    found = meshed(path)
    found.refresh(0)
    monkeypatch.setattr(mesh, "choose", None)
    write(path, range(1, 41))
    assert not found.refresh(CALM)


def test_an_address_that_comes_later_is_recognised(tmp_path: Path) -> None:
    """At boot the agent may be there before the address is."""
    path, here = tmp_path / "fleet.json", host(tmp_path)
    (tmp_path / "proc/net/fib_trie").write_text("")
    write(path, range(1, 11))
    found = meshed(path, here)
    found.refresh(0)
    assert "10.0.0.7:22" in found.choice.peers
    (tmp_path / "proc/net/fib_trie").write_text(FIB_TRIE)
    assert found.refresh(CALM)
    assert "10.0.0.7:22" not in found.choice.peers


def test_a_list_of_only_this_host_has_no_peers_and_is_in_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "fleet.json"
    write(path, [7, 8])
    found = meshed(path, host(tmp_path))
    found.refresh(0)
    write(path, [7])
    with caplog.at_level(logging.WARNING):
        assert found.refresh(CALM)
    assert found.choice.peers == {}
    assert not caplog.records


@pytest.mark.fault(59)
def test_ten_thousand_hosts_in_yaml_and_json_are_the_same_list(tmp_path: Path) -> None:
    lines = [f"10.{number // 250}.{number % 250}.1:22" for number in range(10_000)]
    first, second = lines[:5000], lines[5000:]
    (tmp_path / "a.json").write_text(json.dumps([{"targets": first, "labels": {"availability_zone": "a"}}, {"targets": second}]))
    groups = [f"- targets: [{', '.join(first)}]", "  labels: {availability_zone: a}", "- targets:", *(f"  - {line}" for line in second)]
    (tmp_path / "a.yml").write_text("\n".join(groups))
    found = [meshed(tmp_path / name) for name in ("a.json", "a.yml")]
    for each in found:
        each.refresh(0)
    assert found[0].choice == found[1].choice
    assert found[0].choice.hosts == 10_000
