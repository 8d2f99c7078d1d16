"""`vitald probe` with many targets, on a terminal, and for programs."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from collectors.probe.connect.result import ProbeResult, Reason
from collectors.probe.targets.target import parse
from daemon.cli.probe.live import draw
from daemon.cli.probe.stats import ProbeStats
from tests.daemon.probing import PATIENCE, PROGRAM, down, interruptible, on_a_terminal, vitald_probe

if TYPE_CHECKING:
    import pytest


def test_a_long_run_on_a_terminal_has_a_progress_bar_and_a_pipe_has_none(up: str) -> None:
    command = [sys.executable, "-c", PROGRAM, up, "-c", "3000", "-i", "0.01"]
    shown = on_a_terminal(command, until=(b"/3000", b"try 1 "))
    assert b"/3000" in shown
    assert f"{up}  try 1  answered".encode() in shown
    assert f"--- {up} ---".encode() in shown
    with interruptible(command, stdout=subprocess.PIPE, text=True) as piped:
        assert piped.stdout
        first = piped.stdout.readline()
        piped.send_signal(signal.SIGINT)
        rest, _ = piped.communicate(timeout=PATIENCE)
    assert first.startswith(f"{up}  try 1  answered")
    assert "\x1b" not in rest


def test_many_targets_are_summed_up_in_one_table_the_worst_first(capsys: pytest.CaptureFixture[str]) -> None:
    bad = down()
    with socket.create_server(("0.0.0.0", 0), backlog=1024) as everywhere:  # every 127.x.y.z is a host of its own
        port = str(everywhere.getsockname()[1])
        many = [f"127.9.{number // 200}.{number % 200 + 1}:{port}" for number in range(300)]
        assert vitald_probe(*many, bad, "-c", "2", "-i", "0.05") == 1
    lines = capsys.readouterr().out.splitlines()
    tries = [line for line in lines if "  try " in line]
    assert len(tries) == 602
    begin = next(number for number, line in enumerate(lines) if line.startswith("target "))
    rows = [line.split() for line in lines[begin + 1 : begin + 302]]
    assert rows[0] == [bad, "2", "0", "0.0%", "-", "-", "-", "-", "refused"]
    assert {row[0] for row in rows[1:]} == set(many)
    assert all(row[1:4] == ["2", "2", "0.0%"] and row[-1] == "answered" for row in rows[1:])
    assert lines[begin + 303] == "all 301 targets, 600 answers:"
    assert sum(int(line.split()[-1]) for line in lines[begin + 304 :]) == 600


def test_json_is_one_document_with_everything_in_it(up: str, capsys: pytest.CaptureFixture[str]) -> None:
    bad = down()
    assert vitald_probe(up, bad, "-c", "3", "-i", "0.01", "--format", "json") == 1
    good, refused = json.loads(capsys.readouterr().out)["targets"]
    assert (good["target"], good["tries"], good["ends"]) == (up, 3, {"answered": 3})
    assert good["syns"] == {"sent": 3, "answered": 3, "lost": 0}
    assert 0 < good["rtt_seconds"]["min"] <= good["rtt_seconds"]["median"] <= good["rtt_seconds"]["p99"] <= good["rtt_seconds"]["max"] < 5
    assert sum(bucket["count"] for bucket in good["histogram"]) == 3
    assert good["histogram"][-1]["le"] is None
    assert (refused["ends"], refused["rtt_seconds"]) == ({"refused": 3}, None)


def test_json_comes_whole_after_ctrl_c() -> None:
    command = [sys.executable, "-c", PROGRAM, "", "-c", "0", "-i", "0.05", "--format", "json"]
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        server.settimeout(PATIENCE)
        command[3] = f"127.0.0.1:{server.getsockname()[1]}"
        with interruptible(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            server.accept()[0].close()  # the first try is there
            server.accept()[0].close()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE)
    assert json.loads(out)["targets"][0]["tries"] >= 1
    assert (process.returncode, err) == (0, "")


def test_on_a_terminal_many_targets_are_a_live_table(up: str) -> None:
    bad = down()
    command = [sys.executable, "-c", PROGRAM, up, bad, "-c", "0", "-i", "0.01"]
    output = on_a_terminal(command, until=(b"answered", b"refused"))
    assert b"SYN loss" in output
    assert b"  try " not in output
    assert f"--- {bad} ---".encode() in output


def test_the_live_table_takes_no_more_lines_than_there_are_and_shows_the_worst() -> None:
    tallies = [ProbeStats(parse(f"10.0.0.{number}:22")) for number in range(1, 51)]
    for stats in tallies:
        stats.add(ProbeResult(Reason.ANSWERED, rtt=100))
    tallies[41].add(ProbeResult(Reason.TIMEOUT, retransmits=1))
    drawn = draw(tallies, 10)
    assert drawn.row_count == 10
    assert drawn.caption == "and 40 more"
    assert str(next(iter(drawn.columns[0].cells))) == "10.0.0.42:22"
    assert draw(tallies, -3).row_count == 1
