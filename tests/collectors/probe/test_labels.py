"""Extra labels of the mesh and of target files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from collectors.model import CollectorContext
from collectors.probe.collector import Probe
from collectors.probe.targets import mesh
from tests.collectors.probe.series import series, settings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def fleet(path: Path, port: str, hosts: range, **labels: str) -> None:
    groups = [{"targets": [f"127.1.0.{host}:{port}"], "labels": {"availability_zone": "abc"[host % 3], **labels}} for host in hosts]
    path.write_text(json.dumps(groups))


def test_mesh_peers_are_probed_and_their_labels_are_added(up_everywhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh, "REFRESH_SECONDS", 0.0)
    path, (_, _, port) = tmp_path / "fleet.json", up_everywhere.rpartition(":")
    fleet(path, port, range(1, 61), service="db")
    chosen = settings(mesh_files=[str(path)], mesh_peers=6, target_labels=["service", "rack"], targets=[f"127.1.0.1:{port}"])
    probe = Probe(chosen, CollectorContext(listening=("127.0.0.1:1",)))
    reading = probe.read()
    values = series(probe, reading)
    attempts = {key[1:]: value for key, value in values.items() if key[0] == "probe_attempts"}
    assert len(reading.stats) in {6, 7}  # the one in settings may be chosen, too
    assert set(attempts.values()) == {1}
    zones = {f"127.1.0.{host}:{port}": "abc"[host % 3] for host in range(1, 61)}
    peers = {key for key in attempts if key[3] or key[0] != f"127.1.0.1:{port}"}
    assert {key[0]: key[1:] for key in peers} == {key[0]: (zones[key[0]], "db", "") for key in peers}
    assert {zones[key[0]] for key in peers} == set("abc")
    assert (values[("probe_mesh_hosts",)], values[("probe_mesh_peers",)]) == (60, 6)
    families = {metric.family.name: metric.family.labels for metric in probe.measure(reading, probe._settings)}
    assert families["probe_attempts"] == ("target", "target_zone", "target_service", "target_rack")
    assert families["probe_failures"] == ("target", "reason", "target_zone", "target_service", "target_rack")
    fleet(path, port, range(1, 61), service="web")
    again = series(probe, probe.read())
    moved = {key[1]: (key[3], value) for key, value in again.items() if key[0] == "probe_attempts"}
    assert {key[0]: ("web", 2) for key in peers}.items() <= moved.items()  # the counter continues under the new label
    assert not [key for key in again if "db" in key]


def test_labels_of_target_files_are_added_without_a_mesh(up: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps([{"targets": [up], "labels": {"zone": "a", "other": "b"}}]))
    probe = Probe(settings(target_files=[f"{tmp_path}/t.json"], target_labels=["zone"]), CollectorContext())
    reading = probe.read()
    assert ("probe_attempts", up, "a") in series(probe, reading)
    assert not [metric for metric in probe.measure(reading, probe._settings) if metric.family.name.startswith("probe_mesh")]


def test_with_a_mesh_configured_vitald_itself_is_no_target_while_the_list_is_empty(tmp_path: Path) -> None:
    (tmp_path / "fleet.json").write_text("[]")
    probe = Probe(settings(mesh_files=[f"{tmp_path}/fleet.json"]), CollectorContext(listening=("127.0.0.1:1",)))
    values = series(probe, probe.read())
    assert values == {
        ("probe_target_file_valid", f"{tmp_path}/fleet.json"): 1.0, ("probe_mesh_hosts",): 0, ("probe_mesh_peers",): 0,
    }  # fmt: skip
