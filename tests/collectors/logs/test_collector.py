from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collectors.model import BadInput, Level
from tests.collectors.logs.lines import BOUND, NO_OFFERS, OOM, TIMEOUT, record

if TYPE_CHECKING:
    from collectors.logs.matching.packs import Packs
    from tests.collectors.logs.conftest import LogsLab


def test_every_signature_has_a_counter_at_0_before_its_first_event(lab: LogsLab, packs: Packs) -> None:
    reading = lab.read()
    assert set(reading.events) == {signature.id for signature in packs.signatures}
    assert set(reading.events.values()) == {0}
    assert lab.levels() == {"dhcp_log": 0, "nic_log": 0, "storage_log": 0, "memory_log": 0, "kernel_log": 0}


def test_a_fault_is_active_until_its_recovery_line(lab: LogsLab) -> None:
    lab.read()
    lab.write(NO_OFFERS, NO_OFFERS)
    verdict = lab.verdicts()["dhcp_log"]
    assert verdict.level is Level.CRITICAL
    assert "no DHCPOFFER within its timeout" in verdict.message
    assert "2 times since" in verdict.message
    assert "No DHCPOFFERS received." in verdict.message
    assert verdict.remediation
    assert verdict.evidence["count"] == 2
    lab.write(BOUND)
    assert lab.verdicts()["dhcp_log"].level is Level.HEALTHY
    assert lab.counts()["dhclient-no-offers"] == 2


def test_counts_and_faults_are_exact_across_restarts(lab: LogsLab) -> None:
    lab.read()
    lab.write(NO_OFFERS)
    lab.read()
    lab.restart()
    assert lab.counts() == {"dhclient-no-offers": 1}
    assert lab.levels()["dhcp_log"] == Level.CRITICAL, "an open fault stays open"
    lab.write(NO_OFFERS)
    lab.restart(killed=True)
    lab.write(NO_OFFERS)
    assert lab.counts() == {"dhclient-no-offers": 3}


def test_a_count_is_on_disk_before_the_reading_is_returned(lab: LogsLab) -> None:
    lab.read()
    lab.write(NO_OFFERS)
    assert lab.counts() == {"dhclient-no-offers": 1}
    lab.restart(killed=True)
    assert lab.counts() == {"dhclient-no-offers": 1}


@pytest.mark.fault(9)
def test_no_line_of_a_file_is_counted_as_the_kernels(lab: LogsLab) -> None:
    lab.write(
        f"Nov 21 10:00:00 ip-10-0-0-56 kernel: {TIMEOUT}", f"Nov 21 10:00:00 ip-10-0-0-56 kernel: [1.5] {OOM}", f"[    1.500000] {OOM}"
    )
    lab.write(record(1, OOM), f"<2>kernel: {OOM}", f"2026-11-21T10:00:00+00:00 ip-10-0-0-56 kernel - - - {OOM}")
    assert lab.counts() == {}


@pytest.mark.fault(9)
def test_only_records_of_facility_0_are_the_kernels(lab: LogsLab) -> None:
    stream = lab.folder / "kmsg"
    stream.write_text(record(1, TIMEOUT) + "\n SUBSYSTEM=net\n" + record(2, TIMEOUT, 3 + (1 << 3)) + "\n" + record(3, OOM, 30) + "\n")
    lab.open(kmsg=str(stream))
    assert list(lab.counts().values()) == [1]
    assert lab.levels()["nic_log"] == Level.CRITICAL
    assert lab.levels()["memory_log"] == Level.HEALTHY


@pytest.mark.fault(10)
def test_a_gap_in_the_kernels_sequence_is_counted_and_reading_continues(lab: LogsLab) -> None:
    lab.write(record(5, "first"), record(9, TIMEOUT), to="kmsg")
    lab.open(kmsg=str(lab.folder / "kmsg"))
    lab.read()
    assert lab.lost() == {("kmsg", "overrun"): 3}
    lab.restart()
    assert list(lab.counts().values()) == [1], "read again from the start, counted once"
    lab.write(record(20, TIMEOUT), to="kmsg")
    assert list(lab.counts().values()) == [2]
    assert lab.lost() == {("kmsg", "overrun"): 13}


def test_a_fault_in_backlog_lines_has_their_own_time(lab: LogsLab) -> None:
    lab.write("Jan  2 10:00:00 ip-10-0-0-56 dhclient[694]: No DHCPOFFERS received.")
    assert lab.counts() == {"dhclient-no-offers": 1}
    assert lab.levels()["dhcp_log"] == Level.HEALTHY, "its window has long passed"


def test_the_backlog_of_a_newly_configured_file_is_not_counted(lab: LogsLab) -> None:
    lab.write(NO_OFFERS, to="other")
    lab.read()
    assert lab.logs is not None
    lab.logs.close()
    lab.open(files=(str(lab.folder / "other"),))
    assert lab.counts() == {}
    lab.write(NO_OFFERS, to="other")
    assert lab.counts() == {"dhclient-no-offers": 1}


def test_one_line_in_two_files_is_one_event_and_twice_in_one_is_two(lab: LogsLab) -> None:
    lab.open(files=(str(lab.syslog), str(lab.folder / "messages")))
    lab.read()
    for file in ("syslog", "messages"):
        lab.write(NO_OFFERS, NO_OFFERS, to=file)
    assert lab.counts() == {"dhclient-no-offers": 2}


def test_a_signature_with_files_is_counted_in_these_only(lab: LogsLab) -> None:
    folder = lab.pack(f'[[signature]]\nid = "mail-sent"\npattern = "status=sent"\nfiles = ["{lab.folder}/mail*.log"]\n')
    lab.open(signature_dirs=(folder,))
    assert lab.read().events["mail-sent"] == 0
    lab.write("Nov 21 10:00:00 mx postfix/smtp[9]: 4F2: to=<a@example.net>, status=sent (250 ok)", to="mail-eu.log")
    lab.write("Nov 21 10:00:00 mx postfix/smtp[9]: 4F2: to=<a@example.net>, status=sent (250 ok)")
    lab.restart()
    assert lab.counts() == {"mail-sent": 1}


@pytest.mark.fault(15)
def test_an_invalid_user_signature_is_rejected_at_start_with_file_and_id(lab: LogsLab) -> None:
    folder = lab.pack('[[signature]]\nid = "mine"\npattern = "(a+)+b"\n')
    with pytest.raises(BadInput, match=r"own\.toml: signature 'mine': pattern"):
        lab.open(signature_dirs=(folder,))


def test_changed_packs_are_reloaded_and_invalid_ones_are_not(lab: LogsLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.logs.matching.pack_reloader._CHECK_SECONDS", -1.0)
    folder = lab.pack('[[signature]]\nid = "mine"\npattern = "it is broken"\n')
    lab.open(signature_dirs=(folder,))
    lab.write("Nov 21 10:00:00 h app: it is broken")
    assert lab.counts() == {"mine": 1}
    lab.pack('[[signature]]\nid = "mine"\npattern = "it is broken"\n[[signature]]\nid = "other"\npattern = "so is this"\n')
    lab.write("Nov 21 10:00:00 h app: so is this")
    assert lab.counts() == {"mine": 1, "other": 1}
    lab.pack("[[signature]\n")
    lab.write("Nov 21 10:00:00 h app: so is this")
    reading = lab.read()
    assert reading.events["other"] == 2
    assert not reading.packs_valid
