"""The holder scan on a host with many processes and sockets: bounded, and its answer lists what was left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from collectors.memory.evidence import evidence
from collectors.memory.holders import helper
from tests.collectors.memory.test_panels import ANALYSIS, READING
from tests.kit.leaks import alone, leaking

NUMBER = helper.PROCESSES + 50
SOCKETS = 17_000  # of each of three processes: 20,000 files are all that many a shell may open


@pytest.fixture(scope="module")
def many_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A /proc of more processes than are scanned, each a copy of a real one, with four open files.

    Made of files: 20,000 real processes would slow down whatever else lists /proc on this machine, and need two gigabytes.
    """
    proc = tmp_path_factory.mktemp("many")
    one = tmp_path_factory.mktemp("process")
    for name in ("status", "stat", "statm"):
        (one / name).write_bytes(Path("/proc/self", name).read_bytes())
    (one / "fd").mkdir()
    for number in range(4):
        (one / "fd" / str(number)).symlink_to(f"socket:[{number}]")
    for pid in range(1, NUMBER + 1):
        (proc / str(pid)).symlink_to(one)
    return proc


@pytest.mark.fault(35)
def test_twenty_thousand_processes_are_scanned_and_the_rest_is_listed_as_left_out(
    many_processes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper, "CPU_SECONDS", 60.0)  # a slow machine reaches the number all the same
    found = helper.scan(many_processes, seconds=60.0)
    assert found["processes"] == helper.PROCESSES
    assert found["truncated"] == [f"processes after {helper.PROCESSES}"]


@pytest.mark.fault(35)
def test_a_scan_that_has_used_up_its_processor_time_stops_and_lists_what_was_left_out(
    many_processes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper, "CPU_SECONDS", 0.5)
    found = helper.scan(many_processes, seconds=60.0)
    assert found["processes"] < helper.PROCESSES
    assert found["truncated"] == [f"processes after {found['processes']}"]
    assert found["cpu_seconds"] < 0.5 + 2


@pytest.mark.fault(35)
def test_a_scan_that_has_used_up_its_time_stops_and_lists_what_was_left_out(many_processes: Path) -> None:
    found = helper.scan(many_processes, seconds=0.05)
    assert found["processes"] < helper.PROCESSES
    assert found["truncated"] == [f"processes after {found['processes']}"]


def test_fifty_thousand_sockets_are_scanned_and_the_rest_is_listed_as_left_out() -> None:
    with alone(), leaking("sockets", SOCKETS), leaking("sockets", SOCKETS), leaking("sockets", SOCKETS) as leaker:
        found = helper.scan(Path("/proc"))
    assert found["sockets"]["seen"] == helper.SOCKETS
    assert f"sockets after {helper.SOCKETS}" in found["truncated"]
    assert found["cpu_seconds"] < helper.CPU_SECONDS + 2
    assert any(row["pid"] == leaker.pid and row["kind"] == "socket" and row["size"] >= SOCKETS for row in found["files"])
    assert f"sockets after {helper.SOCKETS}" in evidence(replace(ANALYSIS, reading=replace(READING, holders=found)), 0.0)["left_out"]
