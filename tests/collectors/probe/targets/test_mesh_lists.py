"""Lists that break, empty, vanish, change every second, or are large."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from collectors.probe.targets import mesh
from collectors.probe.targets.mesh import REFRESH_SECONDS
from collectors.probe.targets.rendezvous import choose
from tests.collectors.probe.targets.meshes import FIB_TRIE, host, meshed, write

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@pytest.mark.fault(59)
@pytest.mark.parametrize("broken", ["", "[", "[]", "{}", '[{"targets": ["nonsense"]}]', "\xff", None])
def test_a_list_that_breaks_empties_or_vanishes_changes_no_peer(broken: str | None, tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    write(path, range(1, 41))
    found = meshed(path)
    found.refresh(0)
    peers = found.selection.peers
    assert len(peers) == 20
    if broken is None:
        path.unlink()
    else:
        path.write_bytes(broken.encode("latin-1"))
    found.refresh(REFRESH_SECONDS)
    assert found.selection.peers == peers
    if broken != "[]":
        assert found.valid() == {str(path): False}
    if broken in {"[]", None}:
        assert found.selection.hosts == 0  # what an operator sees beside the peers that stayed
    write(path, range(2, 42))
    assert found.refresh(2 * REFRESH_SECONDS)
    assert found.valid() == {str(path): True}
    assert found.selection.hosts == 40
    assert "10.0.0.1:22" not in found.selection.peers


@pytest.mark.fault(59)
def test_one_empty_list_among_several_takes_its_hosts_with_it(tmp_path: Path) -> None:
    write(tmp_path / "a.json", range(1, 6))
    write(tmp_path / "b.json", range(6, 11))
    found = meshed(tmp_path / "*.json")
    found.refresh(0)
    assert len(found.selection.peers) == 10
    (tmp_path / "b.json").write_text("[]")
    found.refresh(REFRESH_SECONDS)
    assert sorted(found.selection.peers) == [f"10.0.0.{number}:22" for number in range(1, 6)]
    (tmp_path / "a.json").write_text("[{")
    (tmp_path / "b.json").write_text(json.dumps([{"targets": ["10.0.0.99:22"]}]))
    found.refresh(2 * REFRESH_SECONDS)
    assert len(found.selection.peers) == 6  # the broken one's last good hosts, and the new one


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


def test_a_list_written_again_as_it_was_is_not_selected_from_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fleet.json"
    write(path, range(1, 41))
    found = meshed(path)
    found.refresh(0)
    monkeypatch.setattr(mesh, "choose", None)
    write(path, range(1, 41))
    assert not found.refresh(REFRESH_SECONDS)


def test_an_address_that_comes_later_is_recognised(tmp_path: Path) -> None:
    """At boot the agent may be there before the address is."""
    path, here = tmp_path / "fleet.json", host(tmp_path)
    (tmp_path / "proc/net/fib_trie").write_text("")
    write(path, range(1, 11))
    found = meshed(path, here)
    found.refresh(0)
    assert "10.0.0.7:22" in found.selection.peers
    (tmp_path / "proc/net/fib_trie").write_text(FIB_TRIE)
    assert found.refresh(REFRESH_SECONDS)
    assert "10.0.0.7:22" not in found.selection.peers


def test_a_list_of_only_this_host_has_no_peers_and_is_valid(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "fleet.json"
    write(path, [7, 8])
    found = meshed(path, host(tmp_path))
    found.refresh(0)
    write(path, [7])
    with caplog.at_level(logging.WARNING):
        assert found.refresh(REFRESH_SECONDS)
    assert found.selection.peers == {}
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
    assert found[0].selection == found[1].selection
    assert found[0].selection.hosts == 10_000
