"""The collector over loopback, as any user."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from collectors.model import CollectorContext, Histogram, Level, Unavailable
from collectors.probe.collector import Probe
from collectors.probe.connect.result import FAILURES
from tests.collectors.probe.series import down, series, settings

if TYPE_CHECKING:
    from pathlib import Path


def test_with_nothing_configured_it_probes_vitald_itself(up: str) -> None:
    probe = Probe(settings(), CollectorContext(listening=(up,)))
    reading = probe.read()
    assert [(verdict.check, verdict.subject, verdict.level) for verdict in probe.judge([reading], probe._settings)] == [
        ("tcp_probe", up, Level.HEALTHY)
    ]
    probe.close()


def test_with_targets_configured_vitald_itself_is_none(up: str) -> None:
    reading = Probe(settings(targets=[down()]), CollectorContext(listening=(up,))).read()
    assert up not in reading.stats


def test_with_nothing_at_all_to_probe_it_is_unconfigured() -> None:
    with pytest.raises(Unavailable) as why:
        Probe(settings(), CollectorContext()).read()
    assert why.value.reason == "unconfigured"


def test_every_counter_is_there_from_the_first_sweep_and_only_failures_move(up: str) -> None:
    bad = down()
    probe = Probe(settings(targets=[up, bad]), CollectorContext())
    probe.read()
    reading = probe.read()
    values = series(probe, reading)
    for target in (up, bad):
        assert {key[2] for key in values if key[:2] == ("probe_failures", target)} == set(FAILURES)
        assert values["probe_attempts", target] == 2
        assert values["probe_syn_retransmits", target] == 0
        assert ("probe_dns_seconds", target) not in values
    assert values["probe_failures", bad, "refused"] == 2
    assert sum(value for key, value in values.items() if key[:2] == ("probe_failures", up)) == 0
    rtt = values["probe_rtt_seconds", up]
    assert isinstance(rtt, Histogram)
    assert sum(rtt.counts) == 2
    assert values["probe_connect_seconds", up] > 0
    assert ("probe_connect_seconds", bad) not in values
    assert [verdict.level for verdict in probe.judge([reading], probe._settings)] == [Level.HEALTHY, Level.WARNING]


def test_measuring_twice_returns_the_same(up: str) -> None:
    probe = Probe(settings(targets=[up, down()]), CollectorContext())
    reading = probe.read()
    assert list(probe.measure(reading, probe._settings)) == list(probe.measure(reading, probe._settings))


def test_a_target_that_leaves_the_list_is_dropped_and_one_that_stays_keeps_its_statistics(up: str, tmp_path: Path) -> None:
    path, bad = tmp_path / "t.json", down()
    path.write_text(json.dumps([{"targets": [up, bad]}]))
    probe = Probe(settings(target_files=[f"{tmp_path}/*.json"], targets=[up]), CollectorContext())
    assert list(probe.read().stats) == [up, bad]  # named twice, probed once
    path.write_text(json.dumps([{"targets": [up]}]))
    reading = probe.read()
    values = series(probe, reading)
    assert {key[1] for key in values if key[0] == "probe_attempts"} == {up}
    assert values["probe_attempts", up] == 2
    assert [verdict.subject for verdict in probe.judge([reading], probe._settings)] == [up]
    path.write_text("[{")
    values = series(probe, probe.read())
    assert values["probe_target_file_valid", str(path)] == 0
    assert values["probe_attempts", up] == 3


def test_a_file_without_targets_is_visible_though_nothing_is_probed(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("[]")
    probe = Probe(settings(target_files=[f"{tmp_path}/t.json"]), CollectorContext())
    assert series(probe, probe.read()) == {("probe_target_file_valid", f"{tmp_path}/t.json"): 1.0}
    with pytest.raises(Unavailable):
        Probe(settings(target_files=[f"{tmp_path}/none*.json"]), CollectorContext(listening=("127.0.0.1:1",))).read()


def test_a_name_has_its_look_up_time_and_is_probed_in_the_first_sweep(up: str) -> None:
    name = f"localhost:{up.rpartition(':')[2]}"
    probe = Probe(settings(targets=[name, up]), CollectorContext())
    values = series(probe, probe.read())
    assert values["probe_attempts", name] == 1
    assert values["probe_dns_seconds", name] > 0
    assert ("probe_dns_seconds", up) not in values
    probe.close()


def test_close_ends_a_sweep_in_progress_and_its_threads() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        probe = Probe(
            settings(targets=[f"127.0.0.1:{server.getsockname()[1]}", "localhost:1"], interval="5m", timeout="1m"), CollectorContext()
        )
        readings: list[Any] = []
        sweep = threading.Thread(target=lambda: readings.append(probe.read()))
        sweep.start()
        time.sleep(0.05)
        probe.close()
        sweep.join(10)
        assert not sweep.is_alive()
    assert [record.attempts for target, record in readings[0].stats.items() if not target.startswith("localhost")] == [0]
    deadline = time.monotonic() + 10
    while any(thread.name.startswith("probe-dns") for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("probe-dns")]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"interval": "2s"}, "timeout: must be shorter than interval"),
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
        ({"mesh_zone_label": "a b"}, "mesh_zone_label: 'a b' is not a label name"),
        ({"target_labels": ["1a"]}, "target_labels: '1a' is not a label name"),
        ({"target_labels": list("abcdefghi")}, "target_labels: at most 8"),
        ({"target_labels": ["zone"], "mesh_files": ["/f.json"]}, "target_labels: target_zone is the label 'availability_zone' already"),
    ],
)
def test_impossible_settings_are_refused_by_their_key(values: dict[str, Any], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        settings(**values)


def test_problems_lists_broken_target_files(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('[{"targets": ["a"]}]')
    (line,) = Probe.problems(settings(target_files=[f"{tmp_path}/*.json"]))
    assert line.startswith(f"{tmp_path}/t.json: group 1: 'a' is not a target")
