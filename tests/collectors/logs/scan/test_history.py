from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.logs.scan import history
from collectors.logs.scan.history import FOLDED, EventHistory, EventKey, gaps

if TYPE_CHECKING:
    import pytest

    from collectors.logs.matching.packs import Packs

DAY = 86_400


def history_of(packs: Packs, *events: tuple[float, str] | tuple[float, str, str]) -> EventHistory:
    history = EventHistory(packs.by_id)
    for at, signature, *instance in events:
        history.add(EventKey(signature, "h", instance[0] if instance else ""), at)
    return history


def test_rows_have_number_first_and_last_time(packs: Packs) -> None:
    events = history_of(packs, (30, "dhclient-bound"), (10, "oom-kill"), (20, "oom-kill"))
    events.add(EventKey("oom-kill", "h", ""), None, 5)
    worst, other = events.rows()
    assert (worst.key.signature, worst.times, worst.first, worst.last) == ("oom-kill", 7, 10, 20)
    assert other.key.signature == "dhclient-bound"
    assert events.untimed == 5


def test_an_outage_ends_with_its_recovery_and_the_gap_begins_there(packs: Packs) -> None:
    events = history_of(
        packs,
        *((at, "dhclient-no-offers") for at in (100, 400, 700)),
        (900, "dhclient-bound"),
        (20 * DAY, "dhclient-no-offers"),
        (20 * DAY + 60, "dhclient-bound"),
    )
    first, second = events.outages()
    assert (first.start, first.end, first.ended_by, first.faults, first.gap) == (100, 900, "dhclient-bound", 3, None)
    assert (second.start, second.end, second.gap) == (20 * DAY, 20 * DAY + 60, 20 * DAY - 900)
    assert gaps([first, second]) == {("h", "dhcp"): [20 * DAY - 900]}


def test_an_outage_without_a_recovery_ends_with_its_last_line(packs: Packs) -> None:
    window = packs.by_id["oom-kill"].window
    first, second = history_of(packs, (0, "oom-kill"), (window - 1, "oom-kill"), (2 * window - 1, "oom-kill")).outages()
    assert (first.start, first.end, first.ended_by, first.faults) == (0, window - 1, "", 2)
    assert second.gap == window


def test_the_recovery_of_another_interface_ends_no_outage(packs: Packs) -> None:
    events = history_of(packs, (0, "ena-keepalive-timeout", "eth1"), (5, "ena-reset-completed", "eth0"), (9, "ena-reset-completed", "eth1"))
    assert [(outage.end, outage.instances) for outage in events.outages()] == [(9, ["eth1"])]


def test_a_recovery_that_names_the_bus_address_ends_the_outage(packs: Packs) -> None:
    events = EventHistory(packs.by_id)
    events.add(EventKey("ena-keepalive-timeout", "h", "eth0", "0000:00:05.0"), 0)
    events.add(EventKey("ena-reset-completed", "h", "0000:00:06.0"), 5)
    events.add(EventKey("ena-reset-completed", "h", "0000:00:05.0"), 9)
    assert [outage.end for outage in events.outages()] == [9]


def test_one_discover_is_no_fault_and_three_in_two_minutes_are_one(packs: Packs) -> None:
    assert history_of(packs, (0, "dhclient-discover")).outages() == []
    twice = ((0, "dhclient-discover"), (50, "dhclient-discover"))
    assert history_of(packs, *twice, (60, "dhclient-bound"), (70, "dhclient-discover")).outages() == []
    (outage,) = history_of(packs, *twice, (70, "dhclient-discover")).outages()
    assert (outage.severity, outage.start) == ("critical", 70)


def test_escalation_counts_per_instance_as_in_the_daemon(packs: Packs) -> None:
    discovers = [(number * 10.0, "dhclient-discover", f"eth{number % 2}") for number in range(4)]
    assert history_of(packs, *discovers).outages() == []
    assert history_of(packs, *discovers, (45, "dhclient-bound", "eth1"), (50, "dhclient-discover", "eth1")).outages() == []
    (outage,) = history_of(packs, *discovers, (45, "dhclient-bound", "eth1"), (50, "dhclient-discover", "eth0")).outages()
    assert (outage.start, outage.instances) == (50, ["eth0"])


def test_a_recovery_that_repeats_too_often_is_an_outage_as_in_the_daemon(packs: Packs) -> None:
    (outage,) = history_of(packs, *((at, "ixgbevf-link-up", "eth0") for at in (0.0, 60.0, 120.0, 180.0))).outages()
    assert (outage.family, outage.severity, outage.start, outage.faults) == ("nic", "warning", 180, 1)


def test_an_expired_fault_does_not_keep_an_outage_open(packs: Packs) -> None:
    window = packs.by_id["dhclient-lease-file"].window  # which no recovery ends
    events = history_of(packs, (0, "dhclient-lease-file"), (window - 9, "dhclient-no-offers"), (window + 9, "dhclient-bound"))
    assert [(outage.end, outage.ended_by, outage.faults) for outage in events.outages()] == [(window + 9, "dhclient-bound", 2)]


def test_outages_do_not_depend_on_the_order_of_files(packs: Packs) -> None:
    events = [(100.0, "dhclient-no-offers"), (200.0, "dhclient-bound"), (9000.0, "dhclient-no-offers"), (9100.0, "dhclient-bound")]
    assert history_of(packs, *events).outages() == history_of(packs, *reversed(events)).outages()


def test_hosts_beyond_the_limit_are_folded(packs: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_ROWS", 3)
    events = EventHistory(packs.by_id)
    for number in range(10):
        events.add(EventKey("oom-kill", f"h{number}", ""), 1.0)
    assert [(row.key.host, row.times) for row in events.rows()] == [(FOLDED, 7), ("h0", 1), ("h1", 1), ("h2", 1)]
