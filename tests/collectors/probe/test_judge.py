"""Records and verdicts: literals in, literals out."""

from __future__ import annotations

import errno
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.model import Level, Verdict
from collectors.probe.connect.result import FAILURES, ProbeResult, Reason, reason_of, system_call_failed
from collectors.probe.judge import judge
from collectors.probe.target_stats import BUCKETS, WINDOW, TargetStats

GOOD = ProbeResult(Reason.ANSWERED, rtt=180, seconds=0.00018)
LOSSY = ProbeResult(Reason.ANSWERED, rtt=180, retransmits=1, seconds=1.02)
REFUSED = ProbeResult(Reason.REFUSED, error=errno.ECONNREFUSED)
TIMEOUT = ProbeResult(Reason.TIMEOUT, error=errno.ETIMEDOUT, retransmits=1, seconds=2.0)
NO_PORTS = ProbeResult(Reason.LOCAL_RESOURCES, local_error=True, error=errno.EADDRNOTAVAIL)


def after(*outcomes: ProbeResult) -> TargetStats:
    record = TargetStats()
    for number, outcome in enumerate(outcomes):
        record = record.after(outcome, 1_700_000_000.0 + 5 * number)
    return record


def verdict(*outcomes: ProbeResult) -> Verdict:
    return judge("10.0.0.5:22", after(*outcomes), 3)


def test_one_failed_sweep_is_a_warning_three_in_a_row_are_critical() -> None:
    levels = [verdict(*[REFUSED] * times).level for times in (0, 1, 2, 3, 4)]
    assert levels == [Level.HEALTHY, Level.WARNING, Level.WARNING, Level.CRITICAL, Level.CRITICAL]
    assert verdict(REFUSED, REFUSED, REFUSED, GOOD).level is Level.HEALTHY


def test_the_message_says_what_how_often_and_since_when() -> None:
    said = verdict(GOOD, REFUSED, REFUSED, REFUSED)
    assert said.message == "refused 3 times in a row since 2023-11-14 22:13:25 UTC"
    assert said.evidence["failures_in_a_row"] == 3
    assert said.evidence["errno"] == "ECONNREFUSED"
    assert "nothing listens" in said.remediation
    assert (said.check, said.subject) == ("tcp_probe", "10.0.0.5:22")


def test_a_mixed_row_names_each_reason() -> None:
    assert "failed 3 times in a row since 2023-11-14 22:13:20 UTC, 1 refused, 2 timeout" in verdict(TIMEOUT, TIMEOUT, REFUSED).message
    assert "no answer to 2 SYNs in 2.0 s" in verdict(TIMEOUT).message


def test_our_own_fault_neither_adds_to_a_row_nor_ends_it() -> None:
    record = after(REFUSED, REFUSED, NO_PORTS, NO_PORTS)
    assert record.in_a_row == 2
    said = judge("a:1", record, 3)
    assert said.level is Level.WARNING
    assert said.message.startswith("this host itself could not probe it: local resources (Cannot assign requested address)")
    assert "before that it failed 2 times in a row" in said.message
    assert verdict(*[NO_PORTS] * 200).level is Level.WARNING
    assert verdict(REFUSED, REFUSED, NO_PORTS, REFUSED).level is Level.CRITICAL
    assert verdict(REFUSED, NO_PORTS, REFUSED, REFUSED).evidence["reasons"] == {"refused": 3}


def test_three_connects_that_needed_a_retransmission_mean_lost_syns_until_they_leave_the_window() -> None:
    assert verdict(LOSSY, GOOD, LOSSY).level is Level.HEALTHY
    said = verdict(LOSSY, GOOD, LOSSY, LOSSY)
    assert said.level is Level.WARNING
    assert said.message == "SYNs are being lost: 3 of the last 4 connects succeeded only after 3 retransmissions"
    assert verdict(LOSSY, LOSSY, LOSSY, *[GOOD] * (WINDOW - 3)).level is Level.WARNING
    assert verdict(LOSSY, LOSSY, LOSSY, *[GOOD] * (WINDOW - 2)).level is Level.HEALTHY


def test_totals_are_kept_by_reason_and_bucket() -> None:
    record = after(GOOD, LOSSY, REFUSED, TIMEOUT, ProbeResult(Reason.ANSWERED, retransmits=2, seconds=3.0))
    assert record.attempts == 5
    assert dict(zip(FAILURES, record.failures, strict=True)) == {**dict.fromkeys(FAILURES, 0), "refused": 1, "timeout": 1}
    assert sum(record.rtts) == 2  # the last connect has no sample
    assert record.rtts[BUCKETS.index(200e-6)] == 2
    assert record.rtt_sum == pytest.approx(360e-6)
    assert record.retransmits == 4
    assert record.connect_seconds == 3.0


def test_an_rtt_on_a_bound_is_in_its_bucket_and_the_longest_in_the_last() -> None:
    assert after(ProbeResult(Reason.ANSWERED, rtt=20)).rtts[0] == 1
    assert after(ProbeResult(Reason.ANSWERED, rtt=11_000_000)).rtts[-1] == 1


def test_a_record_before_its_first_probe_is_healthy_and_all_zero() -> None:
    assert judge("a:1", TargetStats(), 3) == Verdict("tcp_probe", "a:1", Level.HEALTHY, "not probed yet")


def test_a_clock_beyond_the_calendar_stops_no_verdict() -> None:
    assert judge("a:1", TargetStats().after(REFUSED, 1e30), 3).level is Level.WARNING
    assert judge("a:1", TargetStats().after(REFUSED, -1e12), 3).level is Level.WARNING


@pytest.mark.parametrize("number", [*errno.errorcode, 0, -3, 9999])
def test_every_errno_has_a_reason(number: int) -> None:
    assert reason_of(number) is not Reason.ANSWERED
    assert judge("a:1", after(system_call_failed(number)), 3).level is Level.WARNING


outcomes = st.builds(
    ProbeResult, st.sampled_from(Reason), st.booleans(), st.sampled_from([0, *errno.errorcode]),
    st.integers(0, 20_000_000), st.integers(0, 12), st.floats(0, 60), st.just(""),
)  # fmt: skip


@given(st.lists(outcomes, max_size=300))
def test_a_record_agrees_with_a_plain_count(seen: list[ProbeResult]) -> None:
    seen = [outcome._replace(local_error=outcome.local_error and outcome.reason is not Reason.ANSWERED) for outcome in seen]
    record = after(*seen)
    recent = deque(seen, WINDOW)
    row = 0
    for outcome in seen:
        row = 0 if outcome.reason is Reason.ANSWERED else row + (not outcome.local_error)
    assert record.attempts == len(seen) == sum(record.failures) + sum(outcome.reason is Reason.ANSWERED for outcome in seen)
    assert record.lossy == sum(outcome.reason is Reason.ANSWERED and outcome.retransmits > 0 for outcome in recent)
    assert record.in_a_row == row
    assert record.window == len(recent)
    assert judge("a:1", record, 3).check == "tcp_probe"
