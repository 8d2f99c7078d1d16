"""Statistics and verdicts: literals in, literals out."""

from __future__ import annotations

import errno
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.model import Level, Verdict
from collectors.probe.connect.local_errors import system_call_failed
from collectors.probe.connect.result import FAILURES, ProbeResult, Reason, reason_of
from collectors.probe.judge import judge
from collectors.probe.target_stats import BUCKETS, WINDOW, TargetStats

GOOD = ProbeResult(Reason.ANSWERED, rtt=180, seconds=0.00018)
LOSSY = ProbeResult(Reason.ANSWERED, rtt=180, retransmits=1, seconds=1.02)
REFUSED = ProbeResult(Reason.REFUSED, error=errno.ECONNREFUSED)
TIMEOUT = ProbeResult(Reason.TIMEOUT, error=errno.ETIMEDOUT, retransmits=1, seconds=2.0)
NO_PORTS = ProbeResult(Reason.LOCAL_RESOURCES, local_error=True, error=errno.EADDRNOTAVAIL)


def after(*probe_results: ProbeResult) -> TargetStats:
    stats = TargetStats()
    for number, result in enumerate(probe_results):
        stats = stats.after(result, 1_700_000_000.0 + 5 * number)
    return stats


def verdict(*probe_results: ProbeResult) -> Verdict:
    return judge("10.0.0.5:22", after(*probe_results), 3)


def test_one_failed_sweep_is_a_warning_three_in_a_row_are_critical() -> None:
    levels = [verdict(*[REFUSED] * times).level for times in (0, 1, 2, 3, 4)]
    assert levels == [Level.HEALTHY, Level.WARNING, Level.WARNING, Level.CRITICAL, Level.CRITICAL]
    assert verdict(REFUSED, REFUSED, REFUSED, GOOD).level is Level.HEALTHY


def test_the_message_has_reason_count_and_start() -> None:
    judged = verdict(GOOD, REFUSED, REFUSED, REFUSED)
    assert judged.message == "refused 3 times in a row since 2023-11-14 22:13:25 UTC; an answer, so its host is up"
    assert judged.evidence["failures_in_a_row"] == 3
    assert judged.evidence["errno"] == "ECONNREFUSED"
    assert "nothing listens" in judged.remediation
    assert (judged.check, judged.subject) == ("tcp_probe", "10.0.0.5:22")


def test_a_mixed_row_lists_each_reason() -> None:
    assert "failed 3 times in a row since 2023-11-14 22:13:20 UTC, 1 refused, 2 timeout" in verdict(TIMEOUT, TIMEOUT, REFUSED).message
    assert "no answer to 2 SYNs in 2.0 s" in verdict(TIMEOUT).message


def test_a_local_error_neither_adds_to_a_row_nor_ends_it() -> None:
    stats = after(REFUSED, REFUSED, NO_PORTS, NO_PORTS)
    assert stats.in_a_row == 2
    judged = judge("a:1", stats, 3)
    assert judged.level is Level.WARNING
    assert judged.message.startswith("this host itself could not probe it: local resources (Cannot assign requested address)")
    assert "before that it failed 2 times in a row" in judged.message
    assert verdict(*[NO_PORTS] * 200).level is Level.WARNING
    assert verdict(REFUSED, REFUSED, NO_PORTS, REFUSED).level is Level.CRITICAL
    assert verdict(REFUSED, NO_PORTS, REFUSED, REFUSED).evidence["reasons"] == {"refused": 3}


def test_three_connects_that_needed_a_retransmission_mean_lost_syns_until_they_leave_the_window() -> None:
    assert verdict(LOSSY, GOOD, LOSSY).level is Level.HEALTHY
    judged = verdict(LOSSY, GOOD, LOSSY, LOSSY)
    assert judged.level is Level.WARNING
    assert judged.message == "SYNs are being lost: 3 of the last 4 connects succeeded only after 3 retransmissions"
    assert verdict(LOSSY, LOSSY, LOSSY, *[GOOD] * (WINDOW - 3)).level is Level.WARNING
    assert verdict(LOSSY, LOSSY, LOSSY, *[GOOD] * (WINDOW - 2)).level is Level.HEALTHY


def test_totals_are_kept_by_reason_and_bucket() -> None:
    stats = after(GOOD, LOSSY, REFUSED, TIMEOUT, ProbeResult(Reason.ANSWERED, retransmits=2, seconds=3.0))
    assert stats.attempts == 5
    assert dict(zip(FAILURES, stats.failures, strict=True)) == {**dict.fromkeys(FAILURES, 0), "refused": 1, "timeout": 1}
    assert sum(stats.rtts) == 2  # the last connect has no sample
    assert stats.rtts[BUCKETS.index(200e-6)] == 2
    assert stats.rtt_sum == pytest.approx(360e-6)
    assert stats.retransmits == 4
    assert stats.connect_seconds == 3.0


def test_an_rtt_on_a_bound_is_in_its_bucket_and_the_longest_in_the_last() -> None:
    assert after(ProbeResult(Reason.ANSWERED, rtt=20)).rtts[0] == 1
    assert after(ProbeResult(Reason.ANSWERED, rtt=11_000_000)).rtts[-1] == 1


def test_statistics_before_the_first_probe_are_healthy_and_all_zero() -> None:
    assert judge("a:1", TargetStats(), 3) == Verdict("tcp_probe", "a:1", Level.HEALTHY, "not probed yet")


def test_a_clock_beyond_the_calendar_stops_no_verdict() -> None:
    assert judge("a:1", TargetStats().after(REFUSED, 1e30), 3).level is Level.WARNING
    assert judge("a:1", TargetStats().after(REFUSED, -1e12), 3).level is Level.WARNING


@pytest.mark.parametrize("number", [*errno.errorcode, 0, -3, 9999])
def test_every_errno_has_a_reason(number: int) -> None:
    assert reason_of(number) is not Reason.ANSWERED
    assert judge("a:1", after(system_call_failed(number)), 3).level is Level.WARNING


probe_results = st.builds(
    ProbeResult, st.sampled_from(Reason), st.booleans(), st.sampled_from([0, *errno.errorcode]),
    st.integers(0, 20_000_000), st.integers(0, 12), st.floats(0, 60), st.just(""),
)  # fmt: skip


@given(st.lists(probe_results, max_size=300))
def test_statistics_agree_with_a_plain_count(results: list[ProbeResult]) -> None:
    results = [result._replace(local_error=result.local_error and result.reason is not Reason.ANSWERED) for result in results]
    stats = after(*results)
    recent = deque(results, WINDOW)
    row = 0
    for result in results:
        row = 0 if result.reason is Reason.ANSWERED else row + (not result.local_error)
    assert stats.attempts == len(results) == sum(stats.failures) + sum(result.reason is Reason.ANSWERED for result in results)
    assert stats.lossy == sum(result.reason is Reason.ANSWERED and result.retransmits > 0 for result in recent)
    assert stats.in_a_row == row
    assert stats.window == len(recent)
    assert judge("a:1", stats, 3).check == "tcp_probe"
