"""`vitald scan`, `vitald explain` and the packs in `vitald check-config`, as users run them."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors.logs.scan import parts
from collectors.registry import COLLECTORS
from daemon.cli import main as cli
from daemon.cli.scan import workers
from tests.daemon.cli.scan.scanning import CLEAN, OUTAGE, log, scan

pytestmark = pytest.mark.usefixtures("signature_cache")


def test_a_log_without_faults_is_exit_0_and_one_with_them_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scan(capsys, log(tmp_path / "a", CLEAN))[0] == 0
    recovered = "Mar  5 10:00:00 web1 dhclient[7]: bound to 10.0.0.56 -- renewal in 1612 seconds.\n"
    assert scan(capsys, log(tmp_path / "b", recovered))[0] == 0
    assert scan(capsys, log(tmp_path / "c", OUTAGE))[0] == 1
    assert scan(capsys, log(tmp_path / "d", ""))[0] == 0


def test_json_has_events_outages_and_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, result, _ = scan(capsys, log(tmp_path / "a", OUTAGE))
    events = {item["signature"]: item for item in result["events"]}
    offers = events["dhclient-no-offers"]
    assert (offers["host"], offers["count"], offers["severity"]) == ("web1", 3, "critical")
    assert offers["first"] == datetime(2023, 11, 20, 10, 0, 9).astimezone(UTC).isoformat()
    assert events["dhclient-discover"]["instance"] == "eth1"
    dhcp = [item for item in result["outages"] if item["family"] == "dhcp"]
    assert [(item["duration"], item["ended_by"]) for item in dhcp] == [(351.0, "dhclient-bound"), (60.0, "dhclient-bound")]
    assert dhcp[1]["gap_before"] == pytest.approx(41 * 86400 - 360, abs=3601)  # clocks may have changed between
    assert any(item["family"] == "memory" and item["start"].startswith("2024-03-05") for item in result["outages"])


def test_rotated_and_compressed_files_equal_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
def test_each_format_has_the_same_time(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    moment = datetime(2024, 3, 5, 10).astimezone()
    zone = moment.strftime("%z")
    line = FORMATS[name].replace("{z}", f"{zone[:3]}:{zone[3:]}").format("Out of memory: Killed process 1 (init) total-vm:1kB")
    _, result, _ = scan(capsys, log(tmp_path / "a", CLEAN + line + "\n"))
    (event,) = result["events"]
    assert event["signature"] == "oom-kill"
    assert event["host"] == ("" if "dmesg" in name else "web1")
    assert datetime.fromisoformat(event["first"]).timestamp() == pytest.approx(moment.timestamp(), abs=0.001)


def test_a_journal_export_is_detected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"__REALTIME_TIMESTAMP": "1709632800000000", "_HOSTNAME": "web2", "_TRANSPORT": "kernel"}
    message = "Out of memory: Killed process 1 (init) total-vm:1kB"
    text = "".join(json.dumps({**entry, "MESSAGE": one}) + "\n" for one in ("nothing", message, list(message.encode())))
    _, result, _ = scan(capsys, log(tmp_path / "a.json", text))
    (event,) = result["events"]
    assert (event["host"], event["count"], event["first"]) == ("web2", 2, "2024-03-05T10:00:00+00:00")


def test_events_without_a_time_are_counted_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = log(tmp_path / "dmesg", "[   12.000001] Out of memory: Killed process 1 (init) total-vm:1kB\n")
    status, result, _ = scan(capsys, file)
    assert (status, result["events"][0]["count"], result["events"][0]["first"]) == (1, 1, None)
    assert cli.main(["scan", "--format=openmetrics", file]) == 2
    output = capsys.readouterr()
    assert output.out.endswith("# EOF\n")
    assert "vitald: events without a time in their line are omitted: 1" in output.err


def test_the_year_of_the_last_line_is_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = log(tmp_path / "a", OUTAGE, time.time())
    _, result, _ = scan(capsys, "--year=2019", file)
    assert {item["first"][:4] for item in result["events"]} == {"2018", "2019"}
    assert cli.main(["scan", "--year=20", file]) == 2
    assert "--year: 20 is out of range; expected 1970 to 9999" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_exit_2_and_the_others_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = log(tmp_path / "b.gz", gzip.compress(OUTAGE.encode() + os.urandom(5000).hex().encode())[:-3000])
    status, result, stderr = scan(capsys, str(tmp_path / "none"), broken, log(tmp_path / "a", OUTAGE))
    assert status == 2
    assert stderr.splitlines() == [
        f"vitald: {tmp_path}/none: cannot be read: No such file or directory",
        f"vitald: {broken}: gzip data: ends in the middle; only what precedes it was read",
    ]
    assert next(item for item in result["events"] if item["signature"] == "oom-kill")["count"] == 2  # of both files


def test_binary_data_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = os.urandom(300_000) + b"\n" + b"\0" * 70_000 + OUTAGE.encode() + b"\xff\xfe" * 9 + b'\n{"MESSAGE":\n'
    status, result, stderr = scan(capsys, log(tmp_path / "a", noise))
    assert (status, stderr) == (1, "")
    assert {item["signature"] for item in result["events"]} >= {"dhclient-no-offers", "oom-kill"}


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


def test_several_processes_have_the_result_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 1000)
    text = "".join(OUTAGE.replace("web1", f"web{number % 7}") + CLEAN * (number % 5) for number in range(60))
    file = log(tmp_path / "a", text)
    results = []
    for processes in (1, 4):
        monkeypatch.setattr(workers, "processes", lambda count=processes: count)
        _, result, _ = scan(capsys, file, log(tmp_path / "b.gz", gzip.compress(text.encode())))
        results.append((result["events"], result["outages"], result["bytes"]))
    assert results[0] == results[1]


def test_a_killed_worker_process_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 1000)
    monkeypatch.setattr(workers, "processes", lambda: 2)
    monkeypatch.setattr(workers, "read", lambda *_: os._exit(9))
    status, _, stderr = scan(capsys, log(tmp_path / "a", CLEAN * 100))
    assert status == 2
    assert "not read: the worker process ended with 9" in stderr


MAIL = "[[signature]]\nid = \"mail-sent\"\npattern = 'postfix/smtp\\[\\d+\\]: .* status=sent '\n"


def test_a_users_own_counter_is_counted_and_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mail.toml").write_text(MAIL)
    line = "Mar  5 10:00:00 {} postfix/smtp[7]: 4C1: to=<a@example.org>, status=sent (250 Ok)\n"
    file = log(tmp_path / "mail.log", line.format("mx1") * 3 + line.format("mx2"))
    status, result, _ = scan(capsys, f"--signatures={tmp_path / 'own'}", file)
    assert status == 0
    assert [(item["signature"], item["host"], item["count"]) for item in result["events"]] == [
        ("mail-sent", "mx1", 3),
        ("mail-sent", "mx2", 1),
    ]


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
