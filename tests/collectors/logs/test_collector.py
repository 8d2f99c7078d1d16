from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collectors.model import BadInput, Level
from tests.collectors.logs.lines import BOUND, NO_OFFERS, OOM, TIMEOUT, record

if TYPE_CHECKING:
    from collectors.logs.matching.packs import Packs
    from tests.collectors.logs.conftest import Lab


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
    assert verdict.remediation
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
    monkeypatch.setattr("collectors.logs.matching.pack_reloader._CHECK_SECONDS", -1.0)
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
