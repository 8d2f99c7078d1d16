"""`vitald probe` as people run it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading

import pytest

from collectors.probe.connect.result import ProbeResult, Reason
from collectors.probe.targets.target import parse
from daemon.cli.probe.stats import ProbeStats, histogram, syns
from tests.daemon.probing import PATIENCE, PROGRAM, down, interruptible, vitald_probe


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
    with interruptible(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith(f"{up}  try 1")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert f"--- {up} ---" in out
    assert "RTT ms: min" in out
    assert (process.returncode, err) == (0, "")


def test_syns_that_never_left_are_not_lost() -> None:
    assert syns(ProbeResult(Reason.ANSWERED, retransmits=2)) == (3, 1)
    assert syns(ProbeResult(Reason.TIMEOUT, retransmits=1)) == (2, 0)
    assert syns(ProbeResult(Reason.RESET)) == (1, 1)
    assert syns(ProbeResult(Reason.DNS_TIMEOUT)) == (0, 0)
    assert syns(ProbeResult(Reason.PERMISSION, local_error=True, retransmits=1)) == (0, 0)
    stats = ProbeStats(parse("a:1"))
    stats.add(ProbeResult(Reason.DNS_TIMEOUT))
    assert list(stats.summary("#")) == ["--- a:1 ---", "tries: 1 (1 dns_timeout)", "SYNs: 0 sent, 0 answered, 0 lost"]


def test_the_summary_has_the_nearest_rank_percentiles() -> None:
    stats = ProbeStats(parse("a:1"))
    for rtt in range(1, 201):
        stats.add(ProbeResult(Reason.ANSWERED, rtt=rtt * 1000))
    assert "RTT ms: min 1.000, median 100.000, p99 198.000, max 200.000" in list(stats.summary("#"))


def test_the_histogram_runs_from_the_first_to_the_last_bucket_that_holds_any() -> None:
    lines = list(histogram([100, 100, 100, 100, 900, 20_000_000], "#"))
    assert len(lines) == 17
    assert lines[0] == f"  {'<= 0.1':>8} ms  {'#' * 40}  4"
    assert lines[1].split()[-1] == "0"
    assert lines[-1].split() == [">", "10000", "ms", "##########", "1"]
