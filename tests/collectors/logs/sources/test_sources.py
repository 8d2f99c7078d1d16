"""Sources of the logs collector: unavailable ones, limits, full disks, hostile bytes and wake-ups."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from collectors.cardinality import Dropped
from collectors.logs.settings import LogSettings
from collectors.logs.sources import file_source
from collectors.logs.state import KmsgPosition, LogsState
from collectors.model import Report
from exporters.prometheus.exposition.exposition import Exposition
from exporters.prometheus.exposition.negotiation import negotiate_format
from tests.collectors.logs.lines import NO_OFFERS, TIMEOUT, record

if TYPE_CHECKING:
    from tests.collectors.logs.conftest import LogsLab


@pytest.mark.fault(11)
def test_a_full_disk_loses_no_count_of_the_running_collector(lab: LogsLab) -> None:
    lab.write(NO_OFFERS)
    lab.read()
    before = lab.slot.data
    lab.slot.full = True
    lab.write(NO_OFFERS)
    assert lab.counts() == {"dhclient-no-offers": 2}
    assert lab.slot.data == before
    lab.slot.full = False
    lab.write("Nov 21 10:00:00 h app: nothing")
    lab.read()
    lab.restart(killed=True)
    assert lab.counts() == {"dhclient-no-offers": 2}


@pytest.mark.fault(27)
@pytest.mark.parametrize("kept", [b"{}", b"[]", b"7", b'{"files": 3}', b'{"faults": [{"signature": "no-such"}]}', b'{"events": {"x": -1}}'])
def test_a_state_of_another_shape_is_discarded(lab: LogsLab, kept: bytes) -> None:
    lab.slot.data = b'{"version":1,"value":%s}' % kept
    lab.write(NO_OFFERS)
    assert lab.counts() == {"dhclient-no-offers": 1}


@pytest.mark.fault(13)
@pytest.mark.root
def test_an_unreadable_kernel_log_is_unavailable_with_a_reason(lab: LogsLab) -> None:
    os.mkfifo(lab.folder / "kmsg", 0o000)
    lab.open(kmsg=str(lab.folder / "missing"))
    lab.write(NO_OFFERS)
    assert lab.counts() == {"dhclient-no-offers": 1}
    reading = lab.read()
    assert reading.unavailable["kmsg"].reason == "missing"
    assert reading.selection.kernel == "none"
    assert lab.logs is not None
    (panel,) = lab.logs.show([reading], LogSettings())
    assert any("kmsg is not read: No such file" in note for note in panel.notes)
    assert panel.rows[0][0] == str(lab.syslog)
    text = [(metric.family.name, metric.labels, metric.value) for metric in lab.logs.measure(reading, LogSettings())]
    assert ("log_source_available", ("kmsg", "missing"), 0) in text
    assert ("log_source_reads", ("none", "kernel"), 1) in text


@pytest.mark.root
def test_the_real_kernel_log_is_read_and_records_of_users_are_not_counted(lab: LogsLab) -> None:
    if not os.access("/dev/kmsg", os.R_OK | os.W_OK):
        pytest.skip("no /dev/kmsg here")
    lab.open(kmsg="auto")
    before = lab.read()
    assert before.selection.kernel == "kmsg"
    wakes = list(lab.logs.wake_fds()) if lab.logs else []
    assert len(wakes) == 2
    Path("/dev/kmsg").write_text(f"<2>{TIMEOUT}\n")
    after = lab.read()
    (kmsg_before,), (kmsg_after,) = ([t for t in r.stats if t.source == "kmsg"] for r in (before, after))
    assert kmsg_after.lines > kmsg_before.lines
    assert after.events["netdev-watchdog"] == before.events["netdev-watchdog"]


@pytest.mark.parametrize("recorded", [False, True])
def test_an_event_in_a_file_or_a_recorded_stream_wakes_the_runner(lab: LogsLab, *, recorded: bool) -> None:
    stream = lab.folder / "stream"
    stream.touch()
    poller = lab.open(kmsg=str(stream))._poller
    lab.read()
    poller.poll()
    lab.write("Nov 21 10:00:00 h app: nothing that a signature knows")
    poller.poll()
    with pytest.raises(BlockingIOError):
        os.eventfd_read(poller.descriptor)
    if recorded:
        lab.write(record(1, TIMEOUT), to="stream")
    else:
        lab.write(NO_OFFERS)
    poller.poll()
    assert os.eventfd_read(poller.descriptor) >= 1


def test_close_ends_threads_and_descriptors(lab: LogsLab) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    lab.read()
    assert lab.logs is not None
    lab.logs.close()
    for thread in [thread for thread in threading.enumerate() if thread.name == "vitald-files"]:
        thread.join(10)
        assert not thread.is_alive()
    deadline = time.monotonic() + 10  # a disk thread closes the files
    while len(list(Path("/proc/self/fd").iterdir())) > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_invalid_settings_are_rejected() -> None:
    for bad in ({"kmsg": "on"}, {"files": ("var/log/syslog",)}, {"signature_dirs": ("x",)}, {"files": ("/a\0b",)}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            LogSettings(**bad)


@pytest.mark.fault(49)
def test_ten_thousand_files_are_bounded_and_counted_and_a_large_one_delays_no_other(lab: LogsLab) -> None:
    many = lab.folder / "many"
    many.mkdir()
    for number in range(10_000):
        (many / f"{number:05}.log").touch()
    big = lab.folder / "big.log"
    before = len(list(Path("/proc/self/fd").iterdir()))
    lab.open(files=(str(big), str(lab.syslog), f"{many}/*.log"))
    lab.read()
    assert lab.lost() == {("files", "too_many"): 10_000 + 2 - file_source.MAX_FILES}
    assert len(list(Path("/proc/self/fd").iterdir())) < before + file_source.MAX_FILES + 100
    line = b"Nov 21 10:00:00 h app[1]: nothing to see here, as in all the others, over and over again\n"
    with big.open("wb") as file:
        for _ in range(100):
            file.write(line * 20_000)
    lab.write(NO_OFFERS)
    assert lab.counts() == {"dhclient-no-offers": 1}, "the small file is read in the same turn as the large one"
    (lag,) = (stats.lag for stats in lab.read().stats if stats.source == str(big))
    assert lag is not None
    assert lag >= 0


@pytest.mark.fault(6)
@pytest.mark.needs("promtool")
def test_hostile_bytes_in_a_line_leave_the_scrape_valid(lab: LogsLab) -> None:
    folder = lab.pack('[[signature]]\nid = "hostile"\nfamily = "kernel"\nseverity = "critical"\npattern = "hostile (?P<device>.{1,60})$"\n')
    lab.open(signature_dirs=(folder,))
    lab.read()
    for bad in (b"\xed\xb2\x80", b"\xff\xfe", b"a\0b", "\u2028".encode(), b'"\\', b"\x1b[31m", b"x" * 9000):
        with lab.syslog.open("ab") as file:
            file.write(b"Nov 21 10:00:00 h app: hostile " + bad + b"\n")
    assert lab.counts()["hostile"] >= 6
    assert lab.logs is not None
    reading = lab.logs.read()
    verdicts, found = tuple(lab.logs.judge([reading], LogSettings())), tuple(lab.logs.measure(reading, LogSettings()))
    text = Exposition(Dropped()).render([Report("logs", 0.0, verdicts, found)], negotiate_format("text/plain"))
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert all(verdict.message.isprintable() for verdict in verdicts if verdict.message)


@pytest.mark.fault(39)
def test_kernel_records_of_the_previous_boot_come_from_the_journal(lab: LogsLab, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        {"__CURSOR": "a", "__REALTIME_TIMESTAMP": "1", "_TRANSPORT": "kernel", "_SOURCE_MONOTONIC_TIMESTAMP": str(at), "MESSAGE": text}
        for at, text in ((5_000, TIMEOUT), (9_000, TIMEOUT), (9_500, "all is well"))
    ]
    entries.append(
        {"__CURSOR": "b", "__REALTIME_TIMESTAMP": "1", "_TRANSPORT": "syslog", "_SOURCE_MONOTONIC_TIMESTAMP": "9600", "MESSAGE": TIMEOUT}
    )
    program = lab.folder / "journalctl"
    answer = "\n".join(json.dumps(entry) for entry in entries)
    program.write_text(f"#!/bin/sh\ncase \"$*\" in *_BOOT_ID=0b00t*) cat <<'E'\n{answer}\nE\nesac\n")
    program.chmod(0o755)
    monkeypatch.setattr("collectors.logs.recorder.journal_command", lambda _root: (str(program),))
    state = LogsState(boot="0b-00-t", wall=1.0, boottime=1.0, kmsg=KmsgPosition("0b-00-t", 7, 5_000), events={"netdev-watchdog": 2})
    lab.slot.save(msgspec.to_builtins(state))
    stream = lab.folder / "kmsg"
    stream.touch()
    lab.open(kmsg=str(stream), journal="auto")
    assert lab.counts() == {"netdev-watchdog": 3}
