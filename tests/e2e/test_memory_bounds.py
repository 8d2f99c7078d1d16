"""The look for holders on a crowded host: bounded, and what was left out is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from collectors.memory.evidence import evidence
from collectors.memory.holders import helper as holders
from tests.collectors.memory.test_panels import READING
from tests.kit.leaks import alone, leaking

CROWD = holders.PROCESSES + 50
SOCKETS = 17_000  # of each of three processes: 20,000 files are all that many a shell may open


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A /proc of more processes than we look at, each as this kernel tells of one, with four open files.

    Made of files: 20,000 real ones would slow down whatever else lists /proc on this machine, and take two gigabytes of it.
    """
    proc = tmp_path_factory.mktemp("crowded")
    one = tmp_path_factory.mktemp("process")
    for name in ("status", "stat", "statm"):
        (one / name).write_bytes(Path("/proc/self", name).read_bytes())
    (one / "fd").mkdir()
    for number in range(4):
        (one / "fd" / str(number)).symlink_to(f"socket:[{number}]")
    for pid in range(1, CROWD + 1):
        (proc / str(pid)).symlink_to(one)
    return proc


@pytest.mark.fault(35)
def test_twenty_thousand_processes_are_looked_at_and_the_rest_is_said_to_be_left_out(crowded: Path) -> None:
    found = holders.look(crowded)
    assert found["processes"] == holders.PROCESSES
    assert found["truncated"] == [f"processes after {holders.PROCESSES}"]
    assert found["cpu_seconds"] < holders.CPU_SECONDS + 2


@pytest.mark.fault(35)
def test_a_look_that_has_used_up_its_time_stops_where_it_is_and_says_so(crowded: Path) -> None:
    found = holders.look(crowded, seconds=0.05)
    assert found["processes"] < holders.PROCESSES
    assert found["truncated"] == [f"processes after {found['processes']}"]


def test_fifty_thousand_sockets_are_looked_at_and_the_rest_is_said_to_be_left_out() -> None:
    with alone(), leaking("sockets", SOCKETS), leaking("sockets", SOCKETS), leaking("sockets", SOCKETS) as leaker:
        found = holders.look(Path("/proc"))
    assert found["sockets"]["seen"] == holders.SOCKETS
    assert f"sockets after {holders.SOCKETS}" in found["truncated"]
    assert found["cpu_seconds"] < holders.CPU_SECONDS + 2
    assert any(one["pid"] == leaker.pid and one["kind"] == "socket" and one["size"] >= SOCKETS for one in found["files"])
    assert f"sockets after {holders.SOCKETS}" in evidence(replace(READING, holders=found), 0.0)["left_out"]
