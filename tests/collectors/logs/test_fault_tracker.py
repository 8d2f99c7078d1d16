from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.logs.clock import Timestamp
from collectors.logs.fault_tracker import FaultTracker
from collectors.logs.judge import judge_faults
from collectors.logs.matching.packs import Escalation, load
from collectors.logs.sources.event import LogEvent
from collectors.logs.state import LogsState
from collectors.model import Level
from collectors.settings import Duration
from tests.kit.network import Network
from tests.kit.slots import Kept

if TYPE_CHECKING:
    from collectors.logs.matching.packs import Packs
    from tests.collectors.logs.conftest import LogsLab

PACKS = load()
NOW = Timestamp(1_000_000.0, 5_000.0)


def later(seconds: float, *, wall: float | None = None) -> Timestamp:
    return Timestamp(NOW.wall + (seconds if wall is None else wall), NOW.boottime + seconds)


@pytest.fixture
def tracker(packs: Packs) -> FaultTracker:
    return FaultTracker(packs.signatures, LogsState(), NOW, same_boot=True)


def levels(tracker: FaultTracker, packs: Packs, now: Timestamp) -> dict[str, Level]:
    return {verdict.check: verdict.level for verdict in judge_faults(tracker.faults(now), packs.by_id)}


def test_a_fault_expires_after_its_window(tracker: FaultTracker, packs: Packs) -> None:
    signature = packs.by_id["netdev-watchdog"]
    tracker.add(LogEvent(signature, NOW.wall, "line", "eth0"), NOW)
    assert levels(tracker, packs, later(signature.window - 1))["nic_log"]
    assert not levels(tracker, packs, later(signature.window))["nic_log"]
    assert tracker.events["netdev-watchdog"] == 1


@pytest.mark.fault(40)
def test_a_step_of_the_wall_clock_neither_ends_nor_begins_a_fault(tracker: FaultTracker, packs: Packs) -> None:
    tracker.add(LogEvent(packs.by_id["netdev-watchdog"], NOW.wall, "line", "eth0"), NOW)
    for jump in (-3600.0, 3600.0, 3e8, -3e8):
        assert levels(tracker, packs, later(1, wall=jump))["nic_log"] is Level.CRITICAL
    tracker.add(LogEvent(packs.by_id["netdev-watchdog"], NOW.wall + 3e8, "line", "eth0"), later(2))
    assert tracker.last_seen["netdev-watchdog"] <= later(2).wall, "no event of the future"


def test_a_recovery_of_one_interface_clears_no_other(tracker: FaultTracker, packs: Packs) -> None:
    signature = next(s for s in packs.signatures if s.cleared_by and s.severity == "critical" and "(?P<interface>" in s.pattern)
    recovery = packs.by_id[signature.cleared_by[0]]
    check = f"{signature.family}_log"
    for name in ("eth0", "eth1"):
        tracker.add(LogEvent(signature, NOW.wall, "line", name), NOW)
    tracker.add(LogEvent(recovery, NOW.wall, "line", "eth0"), later(1, wall=0))
    assert [fault.instance for fault in tracker.faults(NOW)] == ["eth1"]
    tracker.add(LogEvent(recovery, NOW.wall, "line"), later(2, wall=0))
    assert levels(tracker, packs, later(2))[check] is Level.HEALTHY, "a recovery without an interface clears all"


def test_an_escalating_signature_is_a_fault_when_it_repeats(tracker: FaultTracker, packs: Packs) -> None:
    signature = packs.by_id["dhclient-discover"]
    assert signature.escalate is not None
    for number in range(signature.escalate.count):
        assert levels(tracker, packs, later(number))["dhcp_log"] is Level.HEALTHY
        tracker.add(LogEvent(signature, later(number).wall, "line", "eth0"), later(number))
    assert levels(tracker, packs, later(3))["dhcp_log"] is Level.CRITICAL


def test_a_warning_that_escalates_is_counted_once(packs: Packs) -> None:
    escalate = Escalation(severity="critical", count=2, within=Duration(60))
    signature = msgspec.structs.replace(packs.by_id["dhclient-nak"], escalate=escalate)
    tracker = FaultTracker([signature], LogsState(), NOW, same_boot=True)
    for number in range(2):
        tracker.add(LogEvent(signature, NOW.wall, "line"), NOW)
        (fault,) = tracker.faults(NOW)
        assert (fault.count, fault.level) == (number + 1, Level.WARNING + number)


@pytest.mark.parametrize("same_boot", [True, False])
def test_a_fault_keeps_its_age_across_a_restart(tracker: FaultTracker, packs: Packs, same_boot: bool) -> None:  # noqa: FBT001 — a parameter
    signature = packs.by_id["netdev-watchdog"]
    tracker.add(LogEvent(signature, NOW.wall, "line", "eth0"), NOW)
    state = LogsState(boot="one", wall=NOW.wall, boottime=NOW.boottime, events=dict(tracker.events), faults=tracker.faults(NOW))
    state = Kept.of(state).load(LogsState)
    wait = signature.window - 1
    after = later(wait) if same_boot else Timestamp(NOW.wall + wait, 30.0)
    again = FaultTracker(packs.signatures, state, after, same_boot=same_boot)
    assert levels(again, packs, after)["nic_log"] is Level.CRITICAL
    assert not levels(again, packs, Timestamp(after.wall + 2, after.boottime + 2))["nic_log"]


@pytest.mark.fault(14)
def test_a_hundred_thousand_instances_are_bounded(tracker: FaultTracker, packs: Packs) -> None:
    signature = packs.by_id["netdev-watchdog"]
    for number in range(100_000):
        tracker.add(LogEvent(signature, NOW.wall, "line", f"eth{number}"), NOW)
    faults = tracker.faults(NOW)
    assert len(faults) <= 65
    assert sum(fault.count for fault in faults) == 100_000


@pytest.mark.root
@pytest.mark.needs("ip")
def test_a_renewed_lease_in_the_kernel_ends_the_fault(lab: LogsLab) -> None:
    network = Network()
    try:
        network.run("ip", "link", "add", "vlogs0", "type", "veth", "peer", "name", "vlogs1")
        for end in ("vlogs0", "vlogs1"):
            network.run("ip", "link", "set", end, "up")
        network.run("ip", "addr", "add", "10.97.30.2/24", "dev", "vlogs0", "valid_lft", "600", "preferred_lft", "600")
        network.run("ip", "link", "add", "tap0", "type", "veth", "peer", "name", "tap1")
        network.run(
            "ip", "addr", "add", "10.97.31.2/24", "dev", "tap0", "valid_lft", "600", "preferred_lft", "600"
        )  # ignored: never renewed
        network.call(lab.read)
        lab.write("Nov 21 10:00:00 ip-10-0-0-56 dhclient[694]: No DHCPOFFERS received.")
        assert network.call(lab.levels)["dhcp_log"] == Level.CRITICAL
        assert lab.logs is not None
        assert lab.logs._recorder is not None
        for _ in range(200):
            network.run("ip", "addr", "change", "10.97.30.2/24", "dev", "vlogs0", "valid_lft", "900", "preferred_lft", "900")
            lab.logs._recorder._next_lease_check = 0.0
            if network.call(lab.levels)["dhcp_log"] == Level.HEALTHY:
                break
        assert network.call(lab.levels)["dhcp_log"] == Level.HEALTHY
    finally:
        network.close()


@pytest.mark.fault(55)
@given(
    st.dictionaries(
        st.sampled_from(["files", "events", "faults", "kmsg", "lost", "recent", "boottime"]),
        st.none() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_any_state_is_decoded(value: object) -> None:
    assert isinstance(Kept.of(value).load(LogsState), LogsState)


NAMES = ["netdev-watchdog", "ena-keepalive-timeout", "ena-reset-completed"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["", "eth0", "eth1"]), st.integers(0, 9000)), max_size=30))
def test_a_fault_expires_at_its_age_in_any_order_of_events(events: list[tuple[str, str, int]]) -> None:
    tracker = FaultTracker(PACKS.signatures, LogsState(), NOW, same_boot=True)
    for name, instance, age in events:
        tracker.add(LogEvent(PACKS.by_id[name], NOW.wall - age, "line", instance), NOW)
    open_faults = tracker.faults(Timestamp(NOW.wall, NOW.boottime - 9000.0))
    for wait in range(0, 9000, 500):
        now = Timestamp(NOW.wall, NOW.boottime - 4000.0 + wait)
        open_faults = tuple(fault for fault in open_faults if now.boottime - fault.updated < PACKS.by_id[fault.signature].window)
        assert tracker.faults(now) == open_faults


def test_the_answer_of_one_file_server_clears_the_fault_of_no_other(lab: LogsLab) -> None:
    fault = '[[signature]]\nid = "gone"\nseverity = "warning"\ncleared_by = ["back"]\npattern = \'fs (?P<server>\\S{1,80}) gone\'\n'
    lab.pack(fault + '[[signature]]\nid = "back"\nseverity = "recovery"\npattern = \'fs (?P<server>\\S{1,80}) back\'\n')
    lab.open(signature_dirs=(str(lab.folder / "signatures.d"),))
    lab.write("fs a gone", "fs b gone", "fs b back")
    assert [fault.instance for fault in lab.read().faults] == ["a"]
    lab.write("fs a back")
    assert lab.read().faults == ()
