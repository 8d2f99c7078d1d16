"""Did traffic collapse? Recorded courses of a real kernel's counters, and made-up ones that go on for days."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.model import Level
from collectors.nic.checks.stall import fallen, stall_verdict
from collectors.nic.readers.counters import Counters
from collectors.nic.readers.sysfs import Traffic
from collectors.nic.readers.tcp_counters import Tcp, parse_tcp, read_tcp
from collectors.nic.reading import Nic, Sample
from tests.collectors.nic.checks.synthetic_traffic import KINDS, LINK, follow

RECORDED = Path(__file__).with_name("traffic")


def recorded(name: str) -> tuple[Sample, ...]:
    """Read what `record_traffic.py` wrote."""
    rows = json.loads((RECORDED / f"{name}.json").read_text())
    return tuple(
        Sample(at, Tcp(*tcp), {"ens5": Traffic(received, sent)}, {"ens5": Counters()}, {"ens5": changes})
        for at, received, sent, changes, *tcp in rows
    )


def levels(seen: tuple[Sample, ...]) -> list[Level]:
    """Judge at every sample, with what had been seen by then."""
    return [stall_verdict(Nic(LINK), seen[: at + 1]).level for at in range(len(seen))]


@pytest.mark.parametrize(
    ("name", "witness"),
    [
        ("bulk-dies", "TCP sent 7 segments again in 70 s"),
        ("bulk-unplugged", "the carrier changed once; TCP sent 23 segments again in 70 s"),
        ("asks-die", "34 SYNs had to be sent again for 35 new connections"),
    ],
)
def test_a_real_path_that_died_at_200_s_is_a_stall_within_40_s_and_stays_one(name: str, witness: str) -> None:
    seen = recorded(name)
    bad = [sample.at for sample, level in zip(seen, levels(seen), strict=True) if level == Level.CRITICAL]
    assert bad == [sample.at for sample in seen if sample.at > 225]
    assert stall_verdict(Nic(LINK), seen).message.endswith(f"MB/s to 0.00 MB/s, and {witness}")


@pytest.mark.parametrize(
    "name",
    [
        "bulk-ends",
        "asks-end",
        "bulk-ends-beside-a-dead-peer",
        "asks-end-beside-a-dead-peer",
        "bulk-with-loss-ends",
        "bursts",
        "bursts-with-loss",
    ],
)
def test_real_traffic_that_ended_or_paused_is_no_stall(name: str) -> None:
    seen = recorded(name)
    assert set(levels(seen)) == {Level.HEALTHY}
    assert any(fallen("ens5", seen[:at]) for at in range(len(seen) + 1)), "it fell, and nothing else agreed"


def course(rates: list[float], tcp: list[tuple[int, int]] | None = None, *, resets: int = 0, flaps: int = 0) -> tuple[Sample, ...]:
    """Samples every 10 s: bytes a second, (segments sent, sent again) a step, and what happened in the last step."""
    total, sent, again, made = 0.0, 0, 0, []
    for at, rate in enumerate(rates):
        total += rate * 10
        out, lost = tcp[at] if tcp else (int(rate * 10 / 1400) + 20, 0)
        sent, again = sent + out + lost, again + lost
        last = at == len(rates) - 1
        made.append(
            Sample(
                at * 10.0,
                Tcp(sent, again),
                traffic={"ens5": Traffic(int(total), 0)},
                counters={"ens5": Counters(resets={"tx_timeout": resets if last else 0})},
                carrier_changes={"ens5": 2 + (flaps if last else 0)},
            )
        )
    return tuple(made)


PLATEAU = [50e6] * 30
COLLAPSE = [*PLATEAU, 1e4, 1e4, 1e4, 1e4]


def stalled(seen: tuple[Sample, ...]) -> Level:
    return stall_verdict(Nic(LINK), seen).level


def test_a_collapse_with_a_second_witness_is_a_stall() -> None:
    assert stalled(course(COLLAPSE, resets=1)) == Level.CRITICAL
    assert stalled(course(COLLAPSE, flaps=2)) == Level.CRITICAL
    dead_path = [(350_000, 30)] * 30 + [(40, 25)] * 4
    verdict = stall_verdict(Nic(LINK), course(COLLAPSE, dead_path))
    assert verdict.level == Level.CRITICAL
    assert "traffic collapsed from 50.0 MB/s to 0.01 MB/s, and TCP sent 100 segments again in 40 s" in verdict.message


def test_a_busy_loopback_does_not_hide_retransmissions() -> None:
    assert stalled(course(COLLAPSE, [(900_000, 3)] * 30 + [(900_000, 60)] * 4)) == Level.CRITICAL


def test_a_job_that_ended_is_no_stall() -> None:
    assert stalled(course(COLLAPSE)) == Level.HEALTHY
    assert stalled(course(COLLAPSE, [(350_000, 40)] * 30 + [(30, 0)] * 4)) == Level.HEALTHY


def test_a_reset_without_a_collapse_is_no_stall() -> None:
    assert stalled(course([50e6] * 34, resets=1)) == Level.HEALTHY


def test_little_traffic_is_no_plateau_and_a_short_past_is_none() -> None:
    assert stalled(course([*[2e4] * 30, 1.0, 1.0, 1.0, 1.0], resets=1)) == Level.HEALTHY
    assert stalled(course([*[50e6] * 5, 1.0, 1.0, 1.0, 1.0], resets=1)) == Level.HEALTHY


def test_counters_that_start_again_are_no_collapse() -> None:
    seen = course(PLATEAU)
    assert stalled((*seen[:-1], replace(seen[-1], traffic={"ens5": Traffic(5, 0)}))) == Level.HEALTHY


@pytest.mark.parametrize("kind", KINDS)
def test_traffic_that_comes_and_goes_raises_no_false_alarm(kind: str) -> None:
    """Two host-days of each; docs/nic.md says what a thousand and a half say."""
    count = follow(kind, 2, "quiet")
    assert count.false == 0
    assert count.falls > 50, "this course has no falls to be quiet about"


def test_most_paths_that_die_under_a_plateau_are_found() -> None:
    counts = [follow(kind, 1, "ill", 0.003) for kind in ("deployments", "bursts", "diurnal")]
    planted, found = sum(count.planted for count in counts), sum(count.found for count in counts)
    assert planted > 20
    assert found >= 0.4 * planted
    assert sum(count.false for count in counts) == 0


@given(st.lists(st.tuples(st.floats(0, 60), st.integers(0, 2**64), st.integers(0, 2**64)), max_size=60))
def test_no_course_of_counters_upsets_it(steps: list[tuple[float, int, int]]) -> None:
    at, seen = 0.0, []
    for step, received, again in steps:
        at += step
        seen.append(
            Sample(at, Tcp(received, again, again, received), {"ens5": Traffic(received, again)}, {"ens5": Counters()}, {"ens5": again})
        )
    stall_verdict(Nic(LINK), tuple(seen))


SNMP = "Tcp: RtoAlgorithm MaxConn ActiveOpens OutSegs RetransSegs\nTcp: 1 -1 7 50 3\nUdp: A\nUdp: 1\n"
NETSTAT = "TcpExt: SyncookiesSent TCPSynRetrans Future\nTcpExt: 0 2 9\nIpExt: InNoRoutes\nIpExt: 0\n"


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    ("snmp", "netstat", "expected"),
    [
        (SNMP, NETSTAT, Tcp(50, 3, 7, 2)),
        (SNMP, "", Tcp(50, 3, 7, 0)),  # a kernel, or a container, without it
        ("Tcp: New RetransSegs OutSegs\nTcp: 9 3 50\n", NETSTAT, Tcp(50, 3, 0, 2)),
        (SNMP, "TcpExt: TCPSynRetrans\n", Tcp(50, 3, 7, 0)),
        ("Tcp: OutSegs Future RetransSegs\nTcp: 5 7\n", NETSTAT, None),
        ("Tcp: OutSegs RetransSegs\n", "", None),
        ("Tcp: OutSegs RetransSegs\nTcp: x \u00b2\n", "", None),
        ("", "", None),
    ],
)
def test_the_kernels_tables_are_read_by_name(snmp: str, netstat: str, expected: Tcp | None) -> None:
    assert parse_tcp(snmp, netstat) == expected


def test_this_kernels_own_tables_are_read() -> None:
    tcp = read_tcp(Path("/proc"))
    assert tcp is not None
    assert tcp.sent >= tcp.syns_again
    assert "TCPSynRetrans" in Path("/proc/net/netstat").read_text()
