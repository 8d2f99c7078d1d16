"""Rules of the diagnosis: what is evidence for and against the target, its service, the path and this host."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.model import Level
from collectors.netlink.link_details_messages import LinkDetails, Queue, RouteInfo
from collectors.netlink.route import Route
from collectors.packets.protocol import ProbeAnswer
from collectors.packets.traceroute import Hop, SynTrace, Trace
from collectors.probe.connect.result import ANSWERS, LOOKUP, SILENCE, ProbeResult, Reason
from collectors.probe.diagnosis.rules import Facts, Others, conclude
from collectors.probe.diagnosis.runner import _others
from collectors.probe.judge import bad_states, is_comparable, judge
from collectors.probe.target_stats import TargetStats
from tests.kit.texts import assert_complete

ROUTE = Route("ens5", "10.0.0.1", "10.0.0.7", 9001, 0, local=False)
DIRECT = ROUTE._replace(gateway="")
SILENT, REFUSED = ProbeResult(Reason.TIMEOUT, error=errno.ETIMEDOUT), ProbeResult(Reason.REFUSED, error=errno.ECONNREFUSED)
PROHIBITED, LOSSY = ProbeResult(Reason.PROHIBITED, error=errno.EHOSTUNREACH), ProbeResult(Reason.ANSWERED, rtt=99, retransmits=1)
NO_TRACE = Trace((), "silent", "")


def answer(kind: str, sender: str = "", code: int = 0, error: int = 0) -> SynTrace:
    return SynTrace(ProbeAnswer(1, kind, sender, code=code, error=error, tries=1), NO_TRACE)  # type: ignore[arg-type]


@pytest.mark.fault(145)
@pytest.mark.parametrize(
    ("last", "packets", "others", "conclusion"),
    [
        (REFUSED, answer("reset"), Others(refusing=2), "2 of 2 other targets refuse, too: their services, not the network"),
        (REFUSED, answer("reset"), Others(fine=9, silent=1), "9 of 10 other targets answer: the service on it"),
        (REFUSED, answer("reset"), Others(silent=2), "the service on it; that 2 of 2 other targets do not answer has another cause"),
        (SILENT, answer("silent"), Others(refusing=2), "2 of 2 other targets answer: the target or its security group"),
        (SILENT, answer("silent"), Others(silent=1, local=1), "2 of 2 other targets do not answer, either: this host or its network"),
        (SILENT, answer("silent"), Others(fine=1, silent=1), "1 of 2 other targets do not answer, either: something they share"),
        (SILENT, answer("reset"), Others(silent=3), "the service on it; that 3 of 3 other targets do not answer has another cause"),
        (SILENT, answer("syn_ack"), Others(fine=3), "3 of 3 other targets answer"),
        (PROHIBITED, answer("unreachable", "10.0.0.1", 13), Others(fine=3), "3 of 3 other targets answer: a firewall rule for this one"),
        (PROHIBITED, answer("unreachable", "10.0.0.9", 1), Others(prohibited=3), "3 of 3 other targets are prohibited, too: a rule"),
        (LOSSY, answer("syn_ack"), Others(fine=3), "3 of 3 other targets answer: the target or the path to it"),
        (LOSSY, answer("syn_ack"), Others(silent=3), "3 of 3 other targets do not answer, either: this host or its network"),
        (SILENT, answer("expired", "10.0.0.1"), Others(fine=3), "a routing loop: its TTL ends at 10.0.0.1"),
        (SILENT, None, Others(), "there is no other target to compare with"),
        (REFUSED, None, Others(refusing=1), "1 of 1 other targets refuse, too: their services, not the network"),
    ],
)
def test_other_targets_are_evidence_by_what_they_answer(
    last: ProbeResult, packets: SynTrace | None, others: Others, conclusion: str
) -> None:
    facts = Facts(last, ROUTE, packets=packets, no_packets="" if packets else "no half-open SYN and no trace: not permitted", others=others)
    assert conclusion in conclude(facts).summary


@pytest.mark.fault(145)
def test_a_service_that_resets_what_it_accepts_is_not_said_to_answer_now() -> None:
    reset = ProbeResult(Reason.RESET, error=errno.ECONNRESET)
    summary = conclude(Facts(reset, ROUTE, packets=answer("syn_ack"), second_connect=reset, others=Others(fine=5))).summary
    assert summary == (
        "the target itself answers a SYN and then resets the connection, on this link; 5 of 5 other targets answer: the service on it"
    )


def test_a_target_on_this_host_is_not_compared_with_others() -> None:
    assert conclude(Facts(REFUSED, ROUTE._replace(local=True), others=Others(silent=3))).summary == "its address is one of this host's own"


@pytest.mark.fault(145)
def test_each_state_of_another_target_is_counted_once() -> None:
    results = {
        "fine": ProbeResult(Reason.ANSWERED, rtt=9),
        "refusing": REFUSED,
        "reset": ProbeResult(Reason.RESET),
        "prohibited": PROHIBITED,
        "silent": SILENT,
        "router": ProbeResult(Reason.NET_UNREACHABLE),
        "here": ProbeResult(Reason.NET_UNREACHABLE, local_error=True),
        "name": ProbeResult(Reason.DNS_TIMEOUT),
        "this": SILENT,
    }
    stats = {target: TargetStats().after(result, 1.0) for target, result in results.items()} | {"not probed": TargetStats()}
    assert _others("this", stats) == Others(fine=1, refusing=2, prohibited=1, silent=2, local=1)


@pytest.mark.fault(145)
def test_a_diagnosis_of_silence_is_not_kept_for_a_refusal() -> None:
    states: dict[Reason, str] = {
        reason: bad_states({"t": TargetStats().after(ProbeResult(reason), 1.0)})["t"] for reason in Reason if reason is not Reason.ANSWERED
    }
    for one in ANSWERS:
        assert all(not is_comparable(states[one], states[other]) for other in SILENCE | LOOKUP)
        assert all(is_comparable(states[one], states[other]) for other in ANSWERS)
    local = bad_states({"t": TargetStats().after(ProbeResult(Reason.PERMISSION, local_error=True), 1.0)})["t"]
    assert is_comparable(states[Reason.TIMEOUT], local)  # a diagnosis that found a local cause explains the local error
    assert not SILENCE & ANSWERS


KINDS = ["syn_ack", "reset", "too_big", "expired", "unreachable", "silent", "local"]
COUNTS = st.integers(0, 9)
ADDRESSES = st.sampled_from(["10.0.0.1", "fd00::1"])
NEIGHBOURS = st.sampled_from(["", "REACHABLE", "FAILED", "INCOMPLETE"])


@st.composite
def results(draw: st.DrawFn) -> ProbeResult:
    reason, error = draw(st.sampled_from(Reason)), draw(st.sampled_from([0, errno.EPERM, 9999]))
    return ProbeResult(reason, reason > Reason.RESET and draw(st.booleans()), error, router=draw(st.just("") | ADDRESSES))


@st.composite
def syn_traces(draw: st.DrawFn) -> SynTrace:
    kind = draw(st.sampled_from(KINDS))
    sender = "" if kind in {"silent", "local"} else draw(ADDRESSES)
    hops = draw(st.lists(st.builds(Hop, COUNTS, st.just("") | ADDRESSES, COUNTS), max_size=3))
    answered = answer(kind, sender, draw(st.integers(0, 15)), errno.EPERM if kind == "local" else 0)
    return answered._replace(trace=Trace(tuple(hops), "silent", ""))


@st.composite
def all_facts(draw: st.DrawFn) -> Facts:
    route = draw(st.sampled_from([None, ROUTE, DIRECT, ROUTE._replace(local=True)]))
    hardware = draw(st.sampled_from(["", "02:00:00:00:00:01"]))
    info = RouteInfo(
        draw(st.sampled_from([0, 101])), neighbour=draw(NEIGHBOURS), hardware=hardware, confirmed=draw(st.none() | st.just(2.5))
    )
    return Facts(
        draw(results()),
        route,
        0 if route else errno.ENETUNREACH,
        draw(NEIGHBOURS),
        draw(st.none() | syn_traces()) if route and not route.local else None,
        "no half-open SYN and no trace: not permitted",
        draw(st.none() | results()),
        draw(st.builds(Others, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)),
        ("timeout",),
        draw(st.dictionaries(st.sampled_from(["rx_dropped", "tx_packets"]), COUNTS)),
        draw(st.none() | st.just(info)),
        draw(st.none() | st.just(LinkDetails("ens5", kind=draw(st.sampled_from(["", "veth"])), queues=(Queue("mq"),)))),
    )


@pytest.mark.fault(145)
@given(all_facts())
def test_no_diagnosis_contradicts_itself_or_has_a_gap(facts: Facts) -> None:
    diagnosis = conclude(facts)
    stats = TargetStats().after(facts.last_result, 1.0)
    verdict = judge("10.0.0.5:22", stats, 3, diagnosis)
    if verdict.level is not Level.HEALTHY:
        assert_complete(verdict)
    says_target = "the target itself" in diagnosis.summary or "the service on it" in diagnosis.summary
    assert not (says_target and "this host or its network" in diagnosis.summary)
    assert diagnosis.local_reason is None or "other targets" not in diagnosis.summary
