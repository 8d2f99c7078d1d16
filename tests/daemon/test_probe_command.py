"""`vitald probe` as people run it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.probe.reasons import Outcome, Reason
from collectors.probe.targets import parse
from daemon import probe_command
from daemon.probe_live import draw
from daemon.tally import Tally, histogram, syns

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PROGRAM = """
import argparse, sys
from daemon import probe_command
parser = argparse.ArgumentParser(prog="vitald probe")
probe_command.add_arguments(parser)
sys.exit(probe_command.run(parser.parse_args()))
"""


def vitald_probe(*words: str) -> int:
    parser = argparse.ArgumentParser()
    probe_command.add_arguments(parser)
    return probe_command.run(parser.parse_args(words))


@pytest.fixture
def up() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def down() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def on_a_terminal(command: list[str], *, until: tuple[bytes, ...]) -> bytes:
    """Run it with a terminal, press Ctrl-C once all of that was shown, and give everything that it showed."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=environment) as process:
        os.close(theirs)
        shown, interrupted, limit = b"", False, time.monotonic() + 30
        with contextlib.suppress(OSError):  # EIO: the other end was closed
            while time.monotonic() < limit:
                if select.select([ours], [], [], 0.1)[0]:
                    shown += os.read(ours, 65536)
                if not interrupted and all(words in shown for words in until):
                    process.send_signal(signal.SIGINT)
                    interrupted = True
        os.close(ours)
        process.kill()  # has ended by itself, or the caller's assertions fail
    return shown


def test_a_target_that_answers_gives_lines_a_summary_and_exit_0(up: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert vitald_probe(up, "-c", "3", "-i", "0.01") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[:3] for line in lines[:3]] == [[up, f"try {number}", "answered"] for number in (1, 2, 3)]
    assert "rtt 0." in lines[0]
    assert lines[3:7] == ["", f"--- {up} ---", "tries: 3 (3 answered)", "SYNs: 3 sent, 3 answered, 0 lost (0.0%)"]
    assert lines[7].startswith("RTT ms: min 0.")
    assert sum(int(line.split()[-1]) for line in lines[8:] if line) == 3


def test_several_targets_are_told_apart_and_one_failure_is_exit_1(up: str, capsys: pytest.CaptureFixture[str]) -> None:
    bad = down()
    assert vitald_probe(up, bad, up, "-c", "2", "-i", "10ms") == 1
    out = capsys.readouterr().out
    assert out.count("--- ") == 2
    assert f"{bad}  try 2  refused" in out
    assert "tries: 2 (2 refused)\nSYNs: 2 sent, 2 answered, 0 lost (0.0%)" in out


def test_lost_syns_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        accept = threading.Timer(1.75, server.accept)  # between the first SYN of the second try and its second
        accept.start()
        code = vitald_probe(f"127.0.0.1:{server.getsockname()[1]}", "-c", "2", "-i", "0.01", "--timeout", "1.5")
        accept.join()
    assert code == 1
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert "timeout  2 of 2 SYNs lost, 1.5" in first
    assert float(second.split("rtt ")[1].split(" ms")[0]) < 500
    assert "1 of 2 SYNs lost, 1." in second


def test_a_name_is_looked_up_and_one_that_cannot_be_has_its_reason(up: str, capsys: pytest.CaptureFixture[str]) -> None:
    port = up.rpartition(":")[2]
    assert vitald_probe(f"localhost:{port}", "-c", "1") == 0
    assert f"localhost:{port}  try 1  answered" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "HOST:PORT"),
        (("10.0.0.5",), "is not a target"),
        (("127.0.0.1:1", "-c", "-1"), "-c"),
        (("127.0.0.1:1", "-c", "x"), "not a number of tries"),
        (("127.0.0.1:1", "-i", "0"), "not a time from"),
        (("127.0.0.1:1", "-i", "nan"), "not a time from"),
        (("127.0.0.1:1", "--timeout", "inf"), "not a time from"),
        (("127.0.0.1:1", "--timeout", "2x"), "not a time from"),
    ],
)
def test_bad_usage_is_exit_2_with_its_reason(words: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        vitald_probe(*words)
    assert end.value.code == 2
    assert why in capsys.readouterr().err


def test_ctrl_c_prints_the_summary(up: str) -> None:
    command = [sys.executable, "-c", PROGRAM, up, "-c", "0", "-i", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        assert process.stdout.readline().startswith(f"{up}  try 1")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert f"--- {up} ---" in out
    assert "RTT ms: min" in out
    assert (process.returncode, err) == (0, "")


def test_a_long_run_on_a_terminal_has_a_progress_bar_and_a_pipe_has_none(up: str) -> None:
    command = [sys.executable, "-c", PROGRAM, up, "-c", "3000", "-i", "0.01"]
    shown = on_a_terminal(command, until=(b"/3000", b"try 1 "))
    assert b"/3000" in shown
    assert f"{up}  try 1  answered".encode() in shown
    assert f"--- {up} ---".encode() in shown
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as piped:
        assert piped.stdout
        first = piped.stdout.readline()
        piped.send_signal(signal.SIGINT)
        rest, _ = piped.communicate(timeout=20)
    assert first.startswith(f"{up}  try 1  answered")
    assert "\x1b" not in rest


def test_syns_that_never_left_are_not_lost() -> None:
    assert syns(Outcome(Reason.ANSWERED, retransmits=2)) == (3, 1)
    assert syns(Outcome(Reason.TIMEOUT, retransmits=1)) == (2, 0)
    assert syns(Outcome(Reason.RESET)) == (1, 1)
    assert syns(Outcome(Reason.DNS_TIMEOUT)) == (0, 0)
    assert syns(Outcome(Reason.PERMISSION, own_fault=True, retransmits=1)) == (0, 0)
    tally = Tally(parse("a:1"))
    tally.add(Outcome(Reason.DNS_TIMEOUT))
    assert list(tally.summary("#")) == ["--- a:1 ---", "tries: 1 (1 dns_timeout)", "SYNs: 0 sent, 0 answered, 0 lost"]


def test_the_summary_has_the_nearest_rank_percentiles() -> None:
    tally = Tally(parse("a:1"))
    for rtt in range(1, 201):
        tally.add(Outcome(Reason.ANSWERED, rtt=rtt * 1000))
    assert "RTT ms: min 1.000, median 100.000, p99 198.000, max 200.000" in list(tally.summary("#"))


def test_the_histogram_runs_from_the_first_to_the_last_bucket_that_holds_any() -> None:
    lines = list(histogram([100, 100, 100, 100, 900, 20_000_000], "#"))
    assert len(lines) == 17
    assert lines[0] == f"  {'<= 0.1':>8} ms  {'#' * 40}  4"
    assert lines[1].split()[-1] == "0"
    assert lines[-1].split() == [">", "10000", "ms", "##########", "1"]


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
        command[3] = f"127.0.0.1:{server.getsockname()[1]}"
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
            server.accept()[0].close()  # the first try is there
            server.accept()[0].close()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
    assert json.loads(out)["targets"][0]["tries"] >= 1
    assert (process.returncode, err) == (0, "")


def test_on_a_terminal_many_targets_are_a_live_table(up: str) -> None:
    bad = down()
    command = [sys.executable, "-c", PROGRAM, up, bad, "-c", "0", "-i", "0.01"]
    said = on_a_terminal(command, until=(b"answered", b"refused"))
    assert b"SYN loss" in said
    assert b"  try " not in said
    assert f"--- {bad} ---".encode() in said


def test_the_live_table_takes_no_more_lines_than_there_are_and_shows_the_worst() -> None:
    tallies = [Tally(parse(f"10.0.0.{number}:22")) for number in range(1, 51)]
    for tally in tallies:
        tally.add(Outcome(Reason.ANSWERED, rtt=100))
    tallies[41].add(Outcome(Reason.TIMEOUT, retransmits=1))
    drawn = draw(tallies, 10)
    assert drawn.row_count == 10
    assert drawn.caption == "and 40 more"
    assert str(next(iter(drawn.columns[0].cells))) == "10.0.0.42:22"
    assert draw(tallies, -3).row_count == 1
