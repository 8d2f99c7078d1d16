import pytest

from collectors.panel import Sparkline
from collectors.probe.connect.result import ProbeResult, Reason
from collectors.probe.panels import COLUMNS, targets_panel
from collectors.probe.target_stats import WINDOW, TargetStats


def stats(*outcomes: ProbeResult) -> TargetStats:
    made = TargetStats()
    for outcome in outcomes:
        made = made.after(outcome, 1.0)
    return made


def test_round_trips_are_kept_within_four_percent() -> None:
    times = (1, 2, 7, 99, 12_345, 999_999, 30_000_000)
    made = stats(*(ProbeResult(Reason.ANSWERED, rtt=time) for time in times), ProbeResult(Reason.TIMEOUT))
    *known, gone = made.round_trips()
    assert gone is None
    assert known == [pytest.approx(time * 1e-6, rel=0.04) for time in times]
    assert made.median() == pytest.approx(99e-6, rel=0.04)


def test_statistics_hold_no_more_round_trips_than_the_window() -> None:
    assert len(stats(*[ProbeResult(Reason.ANSWERED, rtt=5)] * (WINDOW + 7)).round_trips()) == WINDOW


def test_failing_targets_are_first_and_those_losing_syns_second() -> None:
    good, lossy = ProbeResult(Reason.ANSWERED, rtt=1500), ProbeResult(Reason.ANSWERED, rtt=2000, retransmits=1)
    panel = targets_panel(
        {"a:1": stats(good), "b:1": stats(good, lossy), "c:1": stats(good, ProbeResult(Reason.REFUSED)), "d:1": TargetStats()}
    )
    assert [row[0] for row in panel.rows] == ["c:1", "b:1", "a:1", "d:1"]
    assert all(len(row) == len(COLUMNS) for row in panel.rows)
    failing, losing, well, new = panel.rows
    assert failing[1] == "refused"
    assert isinstance(failing[5], Sparkline)
    assert failing[5].values[1] is None
    assert "1 of 2 sweeps without an answer" in failing[5].label
    assert losing[4] == "1 in 2 sweeps"
    assert well[1:3] == ("answered", "1.5 ms")
    assert new[1] == "not probed yet"
