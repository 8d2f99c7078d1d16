from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from collectors.cardinality import Dropped
from collectors.logs import file_source
from collectors.logs.saved import KmsgPosition, State
from collectors.logs.settings import LogSettings
from collectors.model import BadInput, Level, Report
from exporters.prometheus.exposition import Exposition
from exporters.prometheus.negotiate import exposition

if TYPE_CHECKING:
    from collections.abc import Callable

    from collectors.logs.packs import Packs
    from collectors.logs.reading import Reading
    from tests.collectors.logs.conftest import Lab

NO_OFFERS = "Nov 21 10:00:00 ip-10-0-0-56 dhclient[694]: No DHCPOFFERS received."
BOUND = "Nov 21 10:05:00 ip-10-0-0-56 dhclient[694]: bound to 10.0.0.56 -- renewal in 1700 seconds."
TIMEOUT = "NETDEV WATCHDOG: eth0 (ena): transmit queue 1 timed out"
OOM = "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=x,pid=1,uid=0"


def record(sequence: int, text: str, priority: int = 3) -> str:
    return f"{priority},{sequence},{sequence * 1000},-;{text}"


def test_every_signature_has_a_counter_at_0_before_its_first_event(lab: Lab, packs: Packs) -> None:
    reading = lab.read()
    assert set(reading.events) == {signature.id for signature in packs.signatures}
    assert set(reading.events.values()) == {0}
    assert lab.levels() == {"dhcp_log": 0, "nic_log": 0, "storage_log": 0, "memory_log": 0, "kernel_log": 0}


def test_a_fault_is_active_until_its_recovery_line(lab: Lab) -> None:
    lab.read()
    lab.say(NO_OFFERS, NO_OFFERS)
    verdict = lab.verdicts()["dhcp_log"]
    assert verdict.level is Level.CRITICAL
    assert "no DHCP server answered" in verdict.message
    assert "2 times since" in verdict.message
    assert "No DHCPOFFERS received." in verdict.message
    assert verdict.mend
    assert verdict.evidence["count"] == 2
    lab.say(BOUND)
    assert lab.verdicts()["dhcp_log"].level is Level.HEALTHY
    assert lab.counts()["dhclient-no-offers"] == 2


def test_nothing_is_counted_twice_or_forgotten_over_restarts(lab: Lab) -> None:
    lab.read()
    lab.say(NO_OFFERS)
    lab.read()
    lab.restart()
    assert lab.counts() == {"dhclient-no-offers": 1}
    assert lab.levels()["dhcp_log"] == Level.CRITICAL, "what goes on goes on"
    lab.say(NO_OFFERS)
    lab.restart(killed=True)
    lab.say(NO_OFFERS)
    assert lab.counts() == {"dhclient-no-offers": 3}


def test_what_is_counted_is_on_disk_before_it_is_told(lab: Lab) -> None:
    lab.read()
    lab.say(NO_OFFERS)
    assert lab.counts() == {"dhclient-no-offers": 1}
    lab.restart(killed=True)
    assert lab.counts() == {"dhclient-no-offers": 1}


@pytest.mark.fault(9)
def test_no_file_line_is_believed_to_be_the_kernels(lab: Lab) -> None:
    lab.say(f"Nov 21 10:00:00 ip-10-0-0-56 kernel: {TIMEOUT}", f"Nov 21 10:00:00 ip-10-0-0-56 kernel: [1.5] {OOM}", f"[    1.500000] {OOM}")
    lab.say(record(1, OOM), f"<2>kernel: {OOM}", f"2026-11-21T10:00:00+00:00 ip-10-0-0-56 kernel - - - {OOM}")
    assert lab.counts() == {}


@pytest.mark.fault(9)
def test_of_a_kernel_stream_only_facility_0_is_the_kernels_word(lab: Lab) -> None:
    stream = lab.folder / "kmsg"
    stream.write_text(record(1, TIMEOUT) + "\n SUBSYSTEM=net\n" + record(2, TIMEOUT, 3 + (1 << 3)) + "\n" + record(3, OOM, 30) + "\n")
    lab.open(kmsg=str(stream))
    assert list(lab.counts().values()) == [1]
    assert lab.levels()["nic_log"] == Level.CRITICAL
    assert lab.levels()["memory_log"] == Level.HEALTHY


@pytest.mark.fault(10)
def test_a_gap_in_the_kernels_sequence_is_counted_and_reading_goes_on(lab: Lab) -> None:
    lab.say(record(5, "first"), record(9, TIMEOUT), to="kmsg")
    lab.open(kmsg=str(lab.folder / "kmsg"))
    lab.read()
    assert lab.lost() == {("kmsg", "overrun"): 3}
    lab.restart()
    assert list(lab.counts().values()) == [1], "read again from the start, counted once"
    lab.say(record(20, TIMEOUT), to="kmsg")
    assert list(lab.counts().values()) == [2]
    assert lab.lost() == {("kmsg", "overrun"): 13}


def test_a_fault_in_lines_that_were_there_before_us_is_as_old_as_they_say(lab: Lab) -> None:
    lab.say("Jan  2 10:00:00 ip-10-0-0-56 dhclient[694]: No DHCPOFFERS received.")
    assert lab.counts() == {"dhclient-no-offers": 1}
    assert lab.levels()["dhcp_log"] == Level.HEALTHY, "its window has long passed"


def test_a_file_that_was_never_followed_before_is_not_counted_again_from_its_past(lab: Lab) -> None:
    lab.say(NO_OFFERS, to="other")
    lab.read()
    assert lab.logs is not None
    lab.logs.close()
    lab.open(files=(str(lab.folder / "other"),))
    assert lab.counts() == {}
    lab.say(NO_OFFERS, to="other")
    assert lab.counts() == {"dhclient-no-offers": 1}


def test_one_line_in_two_files_is_one_event_and_twice_in_one_is_two(lab: Lab) -> None:
    lab.open(files=(str(lab.syslog), str(lab.folder / "messages")))
    lab.read()
    for file in ("syslog", "messages"):
        lab.say(NO_OFFERS, NO_OFFERS, to=file)
    assert lab.counts() == {"dhclient-no-offers": 2}


def test_a_users_counter_counts_in_its_own_file_alone(lab: Lab) -> None:
    folder = lab.pack(f'[[signature]]\nid = "mail-sent"\npattern = "status=sent"\nfiles = ["{lab.folder}/mail*.log"]\n')
    lab.open(signature_dirs=(folder,))
    assert lab.read().events["mail-sent"] == 0
    lab.say("Nov 21 10:00:00 mx postfix/smtp[9]: 4F2: to=<a@example.net>, status=sent (250 ok)", to="mail-eu.log")
    lab.say("Nov 21 10:00:00 mx postfix/smtp[9]: 4F2: to=<a@example.net>, status=sent (250 ok)")
    lab.restart()
    assert lab.counts() == {"mail-sent": 1}


@pytest.mark.fault(15)
def test_a_bad_signature_of_a_users_is_refused_at_start_with_file_and_id(lab: Lab) -> None:
    folder = lab.pack('[[signature]]\nid = "mine"\npattern = "(a+)+b"\n')
    with pytest.raises(BadInput, match=r"own\.toml: signature 'mine': pattern"):
        lab.open(signature_dirs=(folder,))


def test_packs_that_change_are_taken_and_bad_ones_are_not(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.logs.packs_in_use._PAUSE", -1.0)
    folder = lab.pack('[[signature]]\nid = "mine"\npattern = "it is broken"\n')
    lab.open(signature_dirs=(folder,))
    lab.say("Nov 21 10:00:00 h app: it is broken")
    assert lab.counts() == {"mine": 1}
    lab.pack('[[signature]]\nid = "mine"\npattern = "it is broken"\n[[signature]]\nid = "other"\npattern = "so is this"\n')
    lab.say("Nov 21 10:00:00 h app: so is this")
    assert lab.counts() == {"mine": 1, "other": 1}
    lab.pack("[[signature]\n")
    lab.say("Nov 21 10:00:00 h app: so is this")
    reading = lab.read()
    assert reading.events["other"] == 2
    assert not reading.packs_valid


@pytest.mark.fault(11)
def test_a_full_disk_loses_nothing_that_is_running(lab: Lab) -> None:
    lab.say(NO_OFFERS)
    lab.read()
    before = lab.slot.kept
    lab.slot.full = True
    lab.say(NO_OFFERS)
    assert lab.counts() == {"dhclient-no-offers": 2}
    assert lab.slot.kept == before
    lab.slot.full = False
    lab.say("Nov 21 10:00:00 h app: nothing")
    lab.read()
    lab.restart(killed=True)
    assert lab.counts() == {"dhclient-no-offers": 2}


@pytest.mark.fault(27)
@pytest.mark.parametrize("kept", [b"{}", b"[]", b"7", b'{"files": 3}', b'{"faults": [{"signature": "no-such"}]}', b'{"events": {"x": -1}}'])
def test_a_state_of_another_shape_is_a_fresh_start(lab: Lab, kept: bytes) -> None:
    lab.slot.kept = kept
    lab.say(NO_OFFERS)
    assert lab.counts() == {"dhclient-no-offers": 1}


@pytest.mark.fault(13)
@pytest.mark.root
def test_a_kernel_log_that_may_not_be_read_is_off_and_says_why(lab: Lab) -> None:
    os.mkfifo(lab.folder / "kmsg", 0o000)
    lab.open(kmsg=str(lab.folder / "missing"))
    lab.say(NO_OFFERS)
    assert lab.counts() == {"dhclient-no-offers": 1}
    reading = lab.read()
    assert reading.troubles["kmsg"].reason == "missing"
    assert reading.choice.kernel == "nowhere"
    assert lab.logs is not None
    (panel,) = lab.logs.show([reading])
    assert any("kmsg is not read: No such file" in note for note in panel.notes)
    assert panel.rows[0][0] == str(lab.syslog)
    text = [(metric.family.name, metric.labels, metric.value) for metric in lab.logs.measure(reading)]
    assert ("log_source_available", ("kmsg", "missing"), 0) in text
    assert ("log_source_reads", ("nowhere", "kernel"), 1) in text


@pytest.mark.root
def test_the_real_kernel_log_is_read_and_what_users_write_to_it_is_not_the_kernels(lab: Lab) -> None:
    if not os.access("/dev/kmsg", os.R_OK | os.W_OK):
        pytest.skip("no /dev/kmsg here")
    lab.open(kmsg="auto")
    before = lab.read()
    assert before.choice.kernel == "kmsg"
    wakes = list(lab.logs.wakes()) if lab.logs else []
    assert len(wakes) == 2
    Path("/dev/kmsg").write_text(f"<2>{TIMEOUT}\n")
    after = lab.read()
    (kmsg_before,), (kmsg_after,) = ([t for t in r.traffic if t.source == "kmsg"] for r in (before, after))
    assert kmsg_after.lines > kmsg_before.lines
    assert after.events["netdev-watchdog"] == before.events["netdev-watchdog"]


def test_a_change_of_a_file_wakes_the_runner(lab: Lab) -> None:
    lab.read()
    assert lab.logs is not None
    poller = lab.logs._poller
    poller.look()
    lab.say(NO_OFFERS)
    poller.look()
    assert os.eventfd_read(poller.descriptor) >= 1


def test_closing_ends_threads_and_descriptors(lab: Lab) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    lab.read()
    assert lab.logs is not None
    lab.logs.close()
    for thread in [thread for thread in threading.enumerate() if thread.name == "vitald-files"]:
        thread.join(10)
        assert not thread.is_alive()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_settings_that_cannot_work_are_refused() -> None:
    for bad in ({"kmsg": "on"}, {"files": ("var/log/syslog",)}, {"signature_dirs": ("x",)}, {"files": ("/a\0b",)}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            LogSettings(**bad)


@pytest.mark.fault(49)
def test_ten_thousand_files_are_bounded_counted_and_none_starves_another(lab: Lab) -> None:
    many = lab.folder / "many"
    many.mkdir()
    for number in range(10_000):
        (many / f"{number:05}.log").touch()
    big = lab.folder / "big.log"
    lab.open(files=(str(big), str(lab.syslog), f"{many}/*.log"))
    lab.read()
    assert lab.lost() == {("files", "too_many"): 10_000 + 2 - file_source.MOST}
    assert len(list(Path("/proc/self/fd").iterdir())) < file_source.MOST + 100
    line = b"Nov 21 10:00:00 h app[1]: nothing to see here, as in all the others, over and over again\n"
    with big.open("wb") as file:
        for _ in range(100):
            file.write(line * 20_000)
    lab.say(NO_OFFERS)
    assert lab.counts() == {"dhclient-no-offers": 1}, "the small file did not wait for the big one"
    (lag,) = (traffic.lag for traffic in lab.read().traffic if traffic.source == str(big))
    assert lag is not None
    assert lag >= 0


@pytest.mark.fault(6)
@pytest.mark.needs("promtool")
def test_hostile_bytes_in_a_line_leave_the_scrape_valid(lab: Lab) -> None:
    folder = lab.pack('[[signature]]\nid = "hostile"\nfamily = "kernel"\nseverity = "critical"\npattern = "hostile (?P<device>.{1,60})$"\n')
    lab.open(signature_dirs=(folder,))
    lab.read()
    for bad in (b"\xed\xb2\x80", b"\xff\xfe", b"a\0b", "\u2028".encode(), b'"\\', b"\x1b[31m", b"x" * 9000):
        with lab.syslog.open("ab") as file:
            file.write(b"Nov 21 10:00:00 h app: hostile " + bad + b"\n")
    assert lab.counts()["hostile"] >= 6
    assert lab.logs is not None
    reading = lab.logs.read()
    verdicts, found = tuple(lab.logs.judge([reading])), tuple(lab.logs.measure(reading))
    text = Exposition(Dropped()).render([Report("logs", 0.0, verdicts, found)], exposition("text/plain"))
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert all(verdict.message.isprintable() for verdict in verdicts if verdict.message)


@pytest.mark.fault(39)
def test_the_kernels_last_words_before_a_reboot_come_from_the_journal(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [
        {"__CURSOR": "a", "__REALTIME_TIMESTAMP": "1", "_TRANSPORT": "kernel", "_SOURCE_MONOTONIC_TIMESTAMP": str(at), "MESSAGE": text}
        for at, text in ((5_000, TIMEOUT), (9_000, TIMEOUT), (9_500, "all is well"))
    ]
    said.append(
        {"__CURSOR": "b", "__REALTIME_TIMESTAMP": "1", "_TRANSPORT": "syslog", "_SOURCE_MONOTONIC_TIMESTAMP": "9600", "MESSAGE": TIMEOUT}
    )
    program = lab.folder / "journalctl"
    answer = "\n".join(json.dumps(entry) for entry in said)
    program.write_text(f"#!/bin/sh\ncase \"$*\" in *_BOOT_ID=0b00t*) cat <<'E'\n{answer}\nE\nesac\n")
    program.chmod(0o755)
    monkeypatch.setattr("collectors.logs.recorder.journal_command", lambda _root: (str(program),))
    state = State(boot="0b-00-t", wall=1.0, up=1.0, kmsg=KmsgPosition("0b-00-t", 7, 5_000), events={"netdev-watchdog": 2})
    lab.slot.save(msgspec.to_builtins(state))
    stream = lab.folder / "kmsg"
    stream.touch()
    lab.open(kmsg=str(stream), journal="auto")
    assert lab.counts() == {"netdev-watchdog": 3}


JOURNALCTL = """#!{python}
import json, os, sys, time
folder, cursor = "{folder}", int(sys.argv[sys.argv.index("--cursor") + 1]) if "--cursor" in sys.argv else -1
at = cursor
while not os.path.exists(folder + "/broken"):
    lines = open(folder + "/entries").read().splitlines()
    for number in range(max(at, 0), len(lines)):
        print(json.dumps(json.loads(lines[number]) | {{"__CURSOR": str(number)}}), flush=True)
    at = len(lines)
    if "--follow" not in sys.argv:
        sys.exit(0)
    time.sleep(0.05)
sys.exit(1)
"""


@pytest.mark.fault(38)
def test_a_journal_that_breaks_is_replaced_by_files_and_files_by_a_journal_that_works_again(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real journald breaks in tests/e2e; here what is counted from which side is followed event by event."""
    (programs := tmp_path / "programs").mkdir()
    (journalctl := programs / "journalctl").write_text(JOURNALCTL.format(python=sys.executable, folder=programs))
    journalctl.chmod(0o755)
    (entries := programs / "entries").touch()
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    offers = "dhclient-no-offers"

    def journal(count: int) -> None:
        with entries.open("a") as file:
            for _ in range(count):
                entry = {"__REALTIME_TIMESTAMP": str(int(time.time() * 1e6)), "_COMM": "dhclient", "_UID": "0"}
                file.write(json.dumps({**entry, "MESSAGE": "No DHCPOFFERS received."}) + "\n")

    def syslog(count: int) -> None:
        lab.say(*[f"{datetime.now(UTC).isoformat()} h dhclient[7]: No DHCPOFFERS received."] * count)

    def until(what: Callable[[Reading], bool]) -> Reading:
        for _ in range(400):
            if what(reading := lab.read()):
                return reading
            time.sleep(0.05)
        raise AssertionError(reading)

    lab.open(journal="on")
    lab.read()
    journal(2)
    syslog(2)  # the same, as rsyslog writes them
    assert until(lambda reading: reading.events[offers] == 2).choice.programs == "journal"
    (programs / "broken").touch()
    broken = until(lambda reading: reading.choice.programs == "files")
    assert broken.troubles["journal"].reason == "failing"
    syslog(3)
    journal(3)
    assert until(lambda reading: reading.events[offers] == 5).choice.programs == "files"
    lab.restart()
    (programs / "broken").unlink()
    until(lambda reading: reading.choice.programs == "journal" and "journal" not in reading.troubles)
    journal(4)
    syslog(4)
    until(lambda reading: reading.events[offers] == 9)
    assert lab.counts() == {offers: 9}
