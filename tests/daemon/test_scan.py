"""`vitald scan`, `vitald explain` and the packs in `vitald check-config`, as people run them."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import pty
import re
import select
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collectors.logs import parts
from collectors.registry import COLLECTORS
from daemon import cli, scan_workers
from daemon.scan_words import amount, duration

MARCH = datetime(2024, 3, 5, 12).timestamp()  # noqa: DTZ001 — lines without a zone are local
CLEAN = "Mar  5 10:00:00 web1 sshd[1]: Accepted publickey for deploy\n"
OUTAGE = """\
Nov 20 10:00:00 web1 dhclient[7]: DHCPDISCOVER on eth1 to 255.255.255.255 port 67 interval 9
Nov 20 10:00:09 web1 dhclient[7]: No DHCPOFFERS received.
Nov 20 10:05:09 web1 dhclient[7]: No DHCPOFFERS received.
Nov 20 10:06:00 web1 dhclient[7]: bound to 10.0.0.56 -- renewal in 1612 seconds.
Dec 31 10:00:00 web1 dhclient[7]: No DHCPOFFERS received.
Dec 31 10:01:00 web1 dhclient[7]: bound to 10.0.0.56 -- renewal in 1612 seconds.
Mar  5 10:00:00 web1 kernel: [12.000001] Out of memory: Killed process 1 (init) total-vm:1kB, anon-rss:1kB, file-rss:0kB
"""


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))  # compiled once for all of them


def log(file: Path, text: str | bytes, changed: float = MARCH) -> str:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(file, (changed, changed))
    return str(file)


def scan(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    status = cli.main(["scan", "--format=json", *words])
    told = capsys.readouterr()
    return status, json.loads(told.out), told.err


def test_a_log_without_faults_is_exit_0_and_one_with_them_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scan(capsys, log(tmp_path / "a", CLEAN))[0] == 0
    healed = "Mar  5 10:00:00 web1 dhclient[7]: bound to 10.0.0.56 -- renewal in 1612 seconds.\n"
    assert scan(capsys, log(tmp_path / "b", healed))[0] == 0
    assert scan(capsys, log(tmp_path / "c", OUTAGE))[0] == 1
    assert scan(capsys, log(tmp_path / "d", ""))[0] == 0


def test_it_says_what_happened_where_how_often_and_the_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, found, _ = scan(capsys, log(tmp_path / "a", OUTAGE))
    events = {one["signature"]: one for one in found["events"]}
    offers = events["dhclient-no-offers"]
    assert (offers["host"], offers["count"], offers["severity"]) == ("web1", 3, "critical")
    assert offers["first"] == datetime(2023, 11, 20, 10, 0, 9).astimezone(UTC).isoformat()
    assert events["dhclient-discover"]["instance"] == "eth1"
    dhcp = [one for one in found["outages"] if one["family"] == "dhcp"]
    assert [(one["duration"], one["ended_by"]) for one in dhcp] == [(351.0, "dhclient-bound"), (60.0, "dhclient-bound")]
    assert dhcp[1]["gap_before"] == pytest.approx(41 * 86400 - 360, abs=3601)  # clocks may have changed between
    assert any(one["family"] == "memory" and one["start"].startswith("2024-03-05") for one in found["outages"])


def test_rotated_and_compressed_files_tell_one_story(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = OUTAGE.splitlines(keepends=True)
    december = datetime(2023, 12, 31, 11).timestamp()  # noqa: DTZ001
    files = [
        log(tmp_path / "syslog", "".join(lines[6:])),
        log(tmp_path / "syslog.1", lzma.compress("".join(lines[3:6]).encode()), december),
        log(tmp_path / "syslog.2", gzip.compress("".join(lines[:3]).encode(), mtime=0), december - 30 * 86400),
    ]
    _, whole, _ = scan(capsys, log(tmp_path / "all", OUTAGE))
    _, pieces, _ = scan(capsys, *files)
    assert pieces["events"] == whole["events"]
    assert pieces["outages"] == whole["outages"]


FORMATS = {
    "RFC 3164": "Mar  5 10:00:00 web1 kernel: [12.000001] {}",
    "RFC 5424": "<2>1 2024-03-05T10:00:00{z} web1 kernel - - - {}",
    "ISO": "2024-03-05T10:00:00.000001{z} web1 kernel: [12.000001] {}",
    "dmesg -T": "[Tue Mar  5 10:00:00 2024] {}",
    "dmesg -x --time-format iso": "kern  :crit  : 2024-03-05T10:00:00,000001{z} {}",
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_gives_the_same_time(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    moment = datetime(2024, 3, 5, 10).astimezone()
    zone = moment.strftime("%z")
    line = FORMATS[name].replace("{z}", f"{zone[:3]}:{zone[3:]}").format("Out of memory: Killed process 1 (init) total-vm:1kB")
    _, found, _ = scan(capsys, log(tmp_path / "a", CLEAN + line + "\n"))
    (event,) = found["events"]
    assert event["signature"] == "oom-kill"
    assert event["host"] == ("" if "dmesg" in name else "web1")
    assert datetime.fromisoformat(event["first"]).timestamp() == pytest.approx(moment.timestamp(), abs=0.001)


def test_a_journal_export_is_read_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"__REALTIME_TIMESTAMP": "1709632800000000", "_HOSTNAME": "web2", "_TRANSPORT": "kernel"}
    message = "Out of memory: Killed process 1 (init) total-vm:1kB"
    text = "".join(json.dumps({**entry, "MESSAGE": one}) + "\n" for one in ("nothing", message, list(message.encode())))
    _, found, _ = scan(capsys, log(tmp_path / "a.json", text))
    (event,) = found["events"]
    assert (event["host"], event["count"], event["first"]) == ("web2", 2, "2024-03-05T10:00:00+00:00")


def test_events_without_a_time_are_counted_and_said_to_have_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = log(tmp_path / "dmesg", "[   12.000001] Out of memory: Killed process 1 (init) total-vm:1kB\n")
    status, found, _ = scan(capsys, file)
    assert (status, found["events"][0]["count"], found["events"][0]["first"]) == (1, 1, None)
    assert cli.main(["scan", "--format=openmetrics", file]) == 2
    told = capsys.readouterr()
    assert told.out.endswith("# EOF\n")
    assert "vitald: 1 event has no time in its line and is left out" in told.err


def test_the_year_of_the_last_line_can_be_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = log(tmp_path / "a", OUTAGE, time.time())
    _, found, _ = scan(capsys, "--year=2019", file)
    assert {one["first"][:4] for one in found["events"]} == {"2018", "2019"}
    assert cli.main(["scan", "--year=20", file]) == 2
    assert "--year: must be from 1970 to 9999, not 20" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_exit_2_and_the_others_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = log(tmp_path / "b.gz", gzip.compress(OUTAGE.encode() + os.urandom(5000).hex().encode())[:-3000])
    status, found, said = scan(capsys, str(tmp_path / "none"), broken, log(tmp_path / "a", OUTAGE))
    assert status == 2
    assert said.splitlines() == [
        f"vitald: {tmp_path}/none: cannot be read: No such file or directory",
        f"vitald: {broken}: its gzip data ends in the middle; what stands before that was read",
    ]
    assert next(one for one in found["events"] if one["signature"] == "oom-kill")["count"] == 2  # of both files


def test_binary_data_is_looked_through_without_harm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = os.urandom(300_000) + b"\n" + b"\0" * 70_000 + OUTAGE.encode() + b"\xff\xfe" * 9 + b'\n{"MESSAGE":\n'
    status, found, said = scan(capsys, log(tmp_path / "a", noise))
    assert (status, said) == (1, "")
    assert {one["signature"] for one in found["events"]} >= {"dhclient-no-offers", "oom-kill"}


def test_stdin_is_a_file() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("vitald"), "scan", "--format=json", "-"],
        input=gzip.compress(OUTAGE.replace("Mar  5 10", "Jan  1 00").encode()),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["files"] == ["-"]


def test_many_processes_find_what_one_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(parts, "PART", 1000)
    text = "".join(OUTAGE.replace("web1", f"web{number % 7}") + CLEAN * (number % 5) for number in range(60))
    file = log(tmp_path / "a", text)
    found = []
    for processes in (1, 4):
        monkeypatch.setattr(scan_workers, "processes", lambda count=processes: count)
        _, one, _ = scan(capsys, file, log(tmp_path / "b.gz", gzip.compress(text.encode())))
        found.append((one["events"], one["outages"], one["bytes"]))
    assert found[0] == found[1]


def test_a_process_that_is_killed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(parts, "PART", 1000)
    monkeypatch.setattr(scan_workers, "processes", lambda: 2)
    monkeypatch.setattr(scan_workers, "read", lambda *_: os._exit(9))
    status, _, said = scan(capsys, log(tmp_path / "a", CLEAN * 100))
    assert status == 2
    assert "was not read: the process for it ended (9)" in said


def test_the_table_fits_80_columns_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["scan", log(tmp_path / "a", OUTAGE.replace("web1", "ip-10-0-\x1b[31m0-56"))]) == 1
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert re.search(r"CRIT  dhclient-no-offers +3  2023-11-20 10:00", text)
    assert re.search(r"CRIT  2023-12-31 10:00 +1m +4[01]d( 23h)? +1 +dhclient-bound", text)
    assert "dhclient asked and no DHCP server answered" in text
    assert "Check link, VPC or VLAN" in text


def test_nothing_found_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["scan", log(tmp_path / "a", CLEAN)]) == 0
    assert capsys.readouterr().out.strip().startswith("nothing found: 60 B in 1 file")


@pytest.mark.needs("promtool")
def test_promtool_makes_blocks_of_the_past(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = OUTAGE.replace("web1", 'we"b\\1')
    assert cli.main(["scan", "--format=openmetrics", log(tmp_path / "a", OUTAGE + hostile)]) == 1
    (tmp_path / "past.txt").write_text(text := capsys.readouterr().out)
    (tmp_path / "tsdb" / "wal").mkdir(parents=True)  # `dump` wants one
    done = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", tmp_path / "past.txt", tmp_path / "tsdb"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr + text[:500]
    listed = subprocess.run(["promtool", "tsdb", "list", tmp_path / "tsdb"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert len(listed.splitlines()) >= 4, listed  # three days, and the head of the table
    dumped = subprocess.run(
        ["promtool", "tsdb", "dump", '--match={signature="dhclient-no-offers",host="web1"}', tmp_path / "tsdb"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    values = [float(line.split()[-2]) for line in dumped.splitlines()]
    assert (values[0], values[-1]) == (0, 3)
    assert values == sorted(values)


def on_a_terminal(words: list[str], feed: bytes = b"") -> str:
    """Run vitald with a terminal as stderr; gives what was drawn there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("vitald"), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    drawn = io.BytesIO()
    try:
        assert process.stdin is not None
        process.stdin.write(feed)
        process.stdin.close()
        deadline = time.monotonic() + 60
        while select.select([ours], [], [], max(0, deadline - time.monotonic()))[0]:
            try:
                if not (data := os.read(ours, 65536)):
                    break
            except OSError:  # Linux's way to say that the other end is closed
                break
            drawn.write(data)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return drawn.getvalue().decode()


def test_a_terminal_sees_a_progress_bar_with_the_rate(tmp_path: Path) -> None:
    file = log(tmp_path / "a", CLEAN * 500_000)
    drawn = on_a_terminal(["scan", file])
    assert "━" in drawn
    assert re.search(r"[1-9][0-9.]* [kMG]?B/s", drawn), drawn[-500:]
    assert "30.0/30.0 MB" in drawn or "100%" in drawn


def test_explain_says_what_a_line_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "Jul 26 04:08:00 www dhclient: No DHCPOFFERS received."]) == 0
    text = capsys.readouterr().out
    assert "dhclient-no-offers (critical, dhcp)" in text
    assert "dhclient asked and no DHCP server answered" in text
    assert "Check link, VPC or VLAN" in text


def test_explain_says_who_would_have_to_say_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "Jul 26 04:08:00 www sshd[1]: No DHCPOFFERS received.", "hello \x1b[31m"]) == 1
    text = capsys.readouterr().out
    assert "it would be dhclient-no-offers if it came from dhclient" in " ".join(text.split())
    assert "\x1b" not in text


def test_explain_reads_lines_and_journal_entries_from_stdin() -> None:
    entry = {"__REALTIME_TIMESTAMP": "1", "_TRANSPORT": "kernel", "MESSAGE": "ena 0000:00:05.0 ens5: Keep alive watchdog timeout."}
    done = subprocess.run(
        [Path(sys.executable).with_name("vitald"), "explain", "--format=json", "-"],
        input=json.dumps(entry).encode() + b"\n\nnothing\n",
        capture_output=True,
        check=False,
        timeout=60,
    )
    first, second = json.loads(done.stdout)
    assert done.returncode == 1
    assert (first["signatures"][0]["id"], first["signatures"][0]["fields"]["interface"]) == ("ena-keepalive-timeout", "ens5")
    assert second["signatures"] == []


MAIL = "[[signature]]\nid = \"mail-sent\"\npattern = 'postfix/smtp\\[\\d+\\]: .* status=sent '\n"


def test_a_users_own_counter_is_scanned_for_and_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mail.toml").write_text(MAIL)
    line = "Mar  5 10:00:00 {} postfix/smtp[7]: 4C1: to=<a@example.org>, status=sent (250 Ok)\n"
    file = log(tmp_path / "mail.log", line.format("mx1") * 3 + line.format("mx2"))
    status, found, _ = scan(capsys, f"--signatures={tmp_path / 'own'}", file)
    assert status == 0
    assert [(one["signature"], one["host"], one["count"]) for one in found["events"]] == [("mail-sent", "mx1", 3), ("mail-sent", "mx2", 1)]


def test_a_users_bad_pack_is_exit_2_with_file_and_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.toml").write_text(MAIL.replace(".* status", "(?=x)"))
    for command in (["scan", str(tmp_path / "bad.toml")], ["explain", "x"]):
        assert cli.main([*command, f"--signatures={tmp_path}"]) == 2
        assert f"vitald: {tmp_path}/bad.toml: signature 'mail-sent': pattern uses look-ahead" in capsys.readouterr().err


def test_check_config_runs_the_packs_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own := tmp_path / "own").mkdir()
    settings = tmp_path / "vitald.toml"
    settings.write_text(f'[logs]\nsignature_dirs = ["{own}"]\n' if "logs" in COLLECTORS else "")
    (own / "mail.toml").write_text(MAIL + "match = ['postfix/smtp[1]: 4C1: status=sent (250)']\n")
    assert cli.main(["check-config", str(settings)]) == 0
    (own / "mail.toml").write_text(MAIL + "match = ['status=bounced']\n")
    assert cli.main(["check-config", str(settings)]) == 2
    assert f"{own}/mail.toml: signature 'mail-sent': match: 'status=bounced' is not matched" in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.6, "1m"), (3600, "1h"), (351, "5m 51s"), (1_766_000, "20d 10h"), (-5, "-5s")])
def test_spans_are_written_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_amounts_have_a_fitting_unit() -> None:
    assert [amount(count) for count in (0, 999, 1000, 1.5e9, 2e12)] == ["0 B", "999 B", "1.0 kB", "1.5 GB", "2.0 TB"]
