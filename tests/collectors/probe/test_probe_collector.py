"""The collector over loopback, as any user."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from collectors.model import Histogram, Host, Level, Unavailable
from collectors.probe import mesh
from collectors.probe.collector import Probe
from collectors.probe.reasons import FAILURES
from collectors.probe.settings import ProbeSettings
from collectors.settings import decode_hook

if TYPE_CHECKING:
    from pathlib import Path


def settings(**values: Any) -> ProbeSettings:
    return msgspec.convert(values, ProbeSettings, dec_hook=decode_hook)


def down() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def series(probe: Probe, reading: Any) -> dict[tuple[str, ...], Any]:
    return {(metric.family.name, *metric.labels): metric.value for metric in probe.measure(reading)}


def test_with_nothing_configured_it_probes_vitald_itself(up: str) -> None:
    probe = Probe(settings(), Host(listening=(up,)))
    reading = probe.read()
    assert [(verdict.check, verdict.subject, verdict.level) for verdict in probe.judge([reading])] == [("tcp_probe", up, Level.HEALTHY)]
    probe.close()


def test_with_targets_configured_the_canary_stays_at_home(up: str) -> None:
    reading = Probe(settings(targets=[down()]), Host(listening=(up,))).read()
    assert up not in reading.records


def test_with_nothing_at_all_to_probe_it_is_unconfigured() -> None:
    with pytest.raises(Unavailable) as why:
        Probe(settings(), Host()).read()
    assert why.value.reason == "unconfigured"


def test_every_counter_is_there_from_the_first_sweep_and_only_failures_move(up: str) -> None:
    bad = down()
    probe = Probe(settings(targets=[up, bad]), Host())
    probe.read()
    reading = probe.read()
    seen = series(probe, reading)
    for target in (up, bad):
        assert {key[2] for key in seen if key[:2] == ("probe_failures", target)} == set(FAILURES)
        assert seen["probe_attempts", target] == 2
        assert seen["probe_syn_retransmits", target] == 0
        assert ("probe_dns_seconds", target) not in seen
    assert seen["probe_failures", bad, "refused"] == 2
    assert sum(value for key, value in seen.items() if key[:2] == ("probe_failures", up)) == 0
    rtt = seen["probe_rtt_seconds", up]
    assert isinstance(rtt, Histogram)
    assert sum(rtt.counts) == 2
    assert seen["probe_connect_seconds", up] > 0
    assert ("probe_connect_seconds", bad) not in seen
    assert [verdict.level for verdict in probe.judge([reading])] == [Level.HEALTHY, Level.WARNING]


def test_measuring_twice_says_the_same(up: str) -> None:
    probe = Probe(settings(targets=[up, down()]), Host())
    reading = probe.read()
    assert list(probe.measure(reading)) == list(probe.measure(reading))


def test_a_target_that_leaves_the_list_vanishes_and_one_that_stays_keeps_its_record(up: str, tmp_path: Path) -> None:
    path, bad = tmp_path / "t.json", down()
    path.write_text(json.dumps([{"targets": [up, bad]}]))
    probe = Probe(settings(target_files=[f"{tmp_path}/*.json"], targets=[up]), Host())
    assert list(probe.read().records) == [up, bad]  # named twice, probed once
    path.write_text(json.dumps([{"targets": [up]}]))
    reading = probe.read()
    seen = series(probe, reading)
    assert {key[1] for key in seen if key[0] == "probe_attempts"} == {up}
    assert seen["probe_attempts", up] == 2
    assert [verdict.subject for verdict in probe.judge([reading])] == [up]
    path.write_text("[{")
    seen = series(probe, probe.read())
    assert seen["probe_target_file_valid", str(path)] == 0
    assert seen["probe_attempts", up] == 3


def test_a_file_without_targets_is_visible_though_nothing_is_probed(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("[]")
    probe = Probe(settings(target_files=[f"{tmp_path}/t.json"]), Host())
    assert series(probe, probe.read()) == {("probe_target_file_valid", f"{tmp_path}/t.json"): 1.0}
    with pytest.raises(Unavailable):
        Probe(settings(target_files=[f"{tmp_path}/none*.json"]), Host(listening=("127.0.0.1:1",))).read()


def test_a_name_has_its_look_up_time_and_is_probed_in_the_first_sweep(up: str) -> None:
    name = f"localhost:{up.rpartition(':')[2]}"
    probe = Probe(settings(targets=[name, up]), Host())
    seen = series(probe, probe.read())
    assert seen["probe_attempts", name] == 1
    assert seen["probe_dns_seconds", name] > 0
    assert ("probe_dns_seconds", up) not in seen
    probe.close()


def test_close_ends_a_sweep_that_is_out_and_its_threads() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        probe = Probe(settings(targets=[f"127.0.0.1:{server.getsockname()[1]}", "localhost:1"], every="5m", timeout="1m"), Host())
        readings: list[Any] = []
        sweep = threading.Thread(target=lambda: readings.append(probe.read()))
        sweep.start()
        time.sleep(0.05)
        probe.close()
        sweep.join(10)
        assert not sweep.is_alive()
    assert [record.attempts for target, record in readings[0].records.items() if not target.startswith("localhost")] == [0]
    deadline = time.monotonic() + 10
    while any(thread.name.startswith("probe-dns") for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("probe-dns")]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"every": "2s"}, "timeout: must be shorter than every"),
        ({"timeout": "1ms"}, "timeout: must be at least 10ms"),
        ({"timeout": "0s"}, "timeout: must be at least 10ms"),
        ({"failures_until_critical": 0}, "failures_until_critical: must be at least 1"),
        ({"failures_until_critical": 2.5}, "failures_until_critical"),
        ({"targets": ["10.0.0.5"]}, "targets: '10.0.0.5' is not a target"),
        ({"targets": [5]}, "targets"),
        ({"target_files": ["targets/*.json"]}, "target_files: .* must be an absolute path"),
        ({"target_files": ["/etc/vitald/targets"]}, "target_files: .* must end in .json"),
        ({"target": []}, "unknown field `target`"),
        ({"mesh_files": ["fleet.json"]}, "mesh_files: .* must be an absolute path"),
        ({"mesh_files": ["/fleet.txt"]}, "mesh_files: .* must end in .json"),
        ({"mesh_peers": 0}, "mesh_peers: must be between 1 and 1000"),
        ({"mesh_peers": 1001}, "mesh_peers: must be between 1 and 1000"),
        ({"mesh_zone_label": "a b"}, "mesh_zone_label: 'a b' is not a label's name"),
        ({"target_labels": ["1a"]}, "target_labels: '1a' is not a label's name"),
        ({"target_labels": list("abcdefghi")}, "target_labels: at most 8"),
        ({"target_labels": ["zone"], "mesh_files": ["/f.json"]}, "target_labels: target_zone is the label 'availability_zone' already"),
    ],
)
def test_impossible_settings_are_refused_by_their_key(values: dict[str, Any], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        settings(**values)


def test_problems_names_broken_target_files(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('[{"targets": ["a"]}]')
    (line,) = Probe.problems(settings(target_files=[f"{tmp_path}/*.json"]))
    assert line.startswith(f"{tmp_path}/t.json: group 1: 'a' is not a target")


def fleet(path: Path, port: str, hosts: range, **labels: str) -> None:
    groups = [{"targets": [f"127.1.0.{host}:{port}"], "labels": {"availability_zone": "abc"[host % 3], **labels}} for host in hosts]
    path.write_text(json.dumps(groups))


def test_mesh_peers_are_probed_and_their_labels_come_along(up_everywhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh, "CALM", 0.0)
    path, (_, _, port) = tmp_path / "fleet.json", up_everywhere.rpartition(":")
    fleet(path, port, range(1, 61), service="db")
    chosen = settings(mesh_files=[str(path)], mesh_peers=6, target_labels=["service", "rack"], targets=[f"127.1.0.1:{port}"])
    probe = Probe(chosen, Host(listening=("127.0.0.1:1",)))
    reading = probe.read()
    seen = series(probe, reading)
    attempts = {key[1:]: value for key, value in seen.items() if key[0] == "probe_attempts"}
    assert len(reading.records) in {6, 7}  # the one in settings may be chosen, too
    assert set(attempts.values()) == {1}
    zones = {f"127.1.0.{host}:{port}": "abc"[host % 3] for host in range(1, 61)}
    peers = {key for key in attempts if key[3] or key[0] != f"127.1.0.1:{port}"}
    assert {key[0]: key[1:] for key in peers} == {key[0]: (zones[key[0]], "db", "") for key in peers}
    assert {zones[key[0]] for key in peers} == set("abc")
    assert (seen[("probe_mesh_hosts",)], seen[("probe_mesh_peers",)]) == (60, 6)
    families = {metric.family.name: metric.family.labels for metric in probe.measure(reading)}
    assert families["probe_attempts"] == ("target", "target_zone", "target_service", "target_rack")
    assert families["probe_failures"] == ("target", "reason", "target_zone", "target_service", "target_rack")
    fleet(path, port, range(1, 61), service="web")
    again = series(probe, probe.read())
    moved = {key[1]: (key[3], value) for key, value in again.items() if key[0] == "probe_attempts"}
    assert {key[0]: ("web", 2) for key in peers}.items() <= moved.items()  # the counter goes on under the new label
    assert not [key for key in again if "db" in key]


def test_labels_of_target_files_come_along_without_a_mesh(up: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps([{"targets": [up], "labels": {"zone": "a", "other": "b"}}]))
    probe = Probe(settings(target_files=[f"{tmp_path}/t.json"], target_labels=["zone"]), Host())
    reading = probe.read()
    assert ("probe_attempts", up, "a") in series(probe, reading)
    assert not [metric for metric in probe.measure(reading) if metric.family.name.startswith("probe_mesh")]


def test_with_a_mesh_configured_the_canary_stays_at_home_while_the_list_is_empty(tmp_path: Path) -> None:
    (tmp_path / "fleet.json").write_text("[]")
    probe = Probe(settings(mesh_files=[f"{tmp_path}/fleet.json"]), Host(listening=("127.0.0.1:1",)))
    seen = series(probe, probe.read())
    assert seen == {
        ("probe_target_file_valid", f"{tmp_path}/fleet.json"): 1.0, ("probe_mesh_hosts",): 0, ("probe_mesh_peers",): 0,
    }  # fmt: skip
