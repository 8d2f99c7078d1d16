"""Stalls in recordings of a real kernel's counters, and in synthetic ones of days."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.model import Level
from collectors.nic.checks.stall import find_collapse, stall_verdict
from collectors.nic.readers.counters import DriverCounters
from collectors.nic.readers.sysfs import ByteCounters
from collectors.nic.readers.tcp_counters import TcpCounters
from collectors.nic.reading import Nic
from collectors.nic.samples import Sample
from tests.collectors.nic.checks.synthetic_traffic import KINDS, LINK, follow

RECORDED = Path(__file__).with_name("traffic")


def recorded(name: str) -> tuple[Sample, ...]:
    """Read a recording of `record_traffic.py`."""
    rows = json.loads((RECORDED / f"{name}.json").read_text())
    return tuple(
        Sample(at, TcpCounters(*tcp), {"ens5": ByteCounters(received, sent)}, {"ens5": DriverCounters()}, {"ens5": changes})
        for at, received, sent, changes, *tcp in rows
    )


def levels(samples: tuple[Sample, ...]) -> list[Level]:
    """Judge at every sample, with the samples up to it."""
    return [stall_verdict(Nic(LINK), samples[: at + 1]).level for at in range(len(samples))]


@pytest.mark.parametrize(
    ("name", "indicators"),
    [
        ("bulk-dies", "TCP retransmitted 7 segments in 70 s"),
        ("bulk-unplugged", "the carrier changed once; TCP retransmitted 23 segments in 70 s"),
        ("asks-die", "34 SYNs were retransmitted for 35 new connections"),
    ],
)
def test_a_real_path_that_died_at_200_s_is_a_stall_within_40_s_and_stays_one(name: str, indicators: str) -> None:
    samples = recorded(name)
    bad = [sample.at for sample, level in zip(samples, levels(samples), strict=True) if level == Level.CRITICAL]
    assert bad == [sample.at for sample in samples if sample.at > 225]
    assert stall_verdict(Nic(LINK), samples).message.endswith(f"MB/s to 0.00 MB/s, and {indicators}")


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
    samples = recorded(name)
    assert set(levels(samples)) == {Level.HEALTHY}
    assert any(find_collapse("ens5", samples[:at]) for at in range(len(samples) + 1)), (
        "no collapse without a second signal in this recording"
    )


def course(rates: list[float], tcp: list[tuple[int, int]] | None = None, *, resets: int = 0, flaps: int = 0) -> tuple[Sample, ...]:
    """Samples every 10 s: bytes per second, (segments sent, retransmitted) in each step, resets and flaps of the last step."""
    total, sent, retrans, samples = 0.0, 0, 0, []
    for at, rate in enumerate(rates):
        total += rate * 10
        out, lost = tcp[at] if tcp else (int(rate * 10 / 1400) + 20, 0)
        sent, retrans = sent + out + lost, retrans + lost
        last = at == len(rates) - 1
        samples.append(
            Sample(
                at * 10.0,
                TcpCounters(sent, retrans),
                byte_counters={"ens5": ByteCounters(int(total), 0)},
                counters={"ens5": DriverCounters(resets={"tx_timeout": resets if last else 0})},
                carrier_changes={"ens5": 2 + (flaps if last else 0)},
            )
        )
    return tuple(samples)


PLATEAU = [50e6] * 30
COLLAPSE = [*PLATEAU, 1e4, 1e4, 1e4, 1e4]


def stalled(samples: tuple[Sample, ...]) -> Level:
    return stall_verdict(Nic(LINK), samples).level


def test_a_collapse_with_a_second_indicator_is_a_stall() -> None:
    assert stalled(course(COLLAPSE, resets=1)) == Level.CRITICAL
    assert stalled(course(COLLAPSE, flaps=2)) == Level.CRITICAL
    dead_path = [(350_000, 30)] * 30 + [(40, 25)] * 4
    verdict = stall_verdict(Nic(LINK), course(COLLAPSE, dead_path))
    assert verdict.level == Level.CRITICAL
    assert "traffic collapsed from 50.0 MB/s to 0.01 MB/s, and TCP retransmitted 100 segments in 40 s" in verdict.message


def test_a_busy_loopback_does_not_hide_retransmissions() -> None:
    assert stalled(course(COLLAPSE, [(900_000, 3)] * 30 + [(900_000, 60)] * 4)) == Level.CRITICAL


def test_a_job_that_ended_is_no_stall() -> None:
    assert stalled(course(COLLAPSE)) == Level.HEALTHY
    assert stalled(course(COLLAPSE, [(350_000, 40)] * 30 + [(30, 0)] * 4)) == Level.HEALTHY


def test_a_reset_without_a_collapse_is_no_stall() -> None:
    assert stalled(course([50e6] * 34, resets=1)) == Level.HEALTHY


def test_little_traffic_and_a_short_history_are_no_plateau() -> None:
    assert stalled(course([*[2e4] * 30, 1.0, 1.0, 1.0, 1.0], resets=1)) == Level.HEALTHY
    assert stalled(course([*[50e6] * 5, 1.0, 1.0, 1.0, 1.0], resets=1)) == Level.HEALTHY


def test_counters_that_restart_are_no_collapse() -> None:
    samples = course(PLATEAU)
    assert stalled((*samples[:-1], replace(samples[-1], byte_counters={"ens5": ByteCounters(5, 0)}))) == Level.HEALTHY


@pytest.mark.parametrize("kind", KINDS)
def test_intermittent_traffic_raises_no_false_alarm(kind: str) -> None:
    """Two host-days of each; docs/nic.md has the result of 1,500."""
    count = follow(kind, 2, "quiet")
    assert count.false == 0
    assert count.collapses > 50, "no collapse in this course"


def test_most_paths_that_die_under_a_plateau_are_found() -> None:
    counts = [follow(kind, 1, "ill", 0.003) for kind in ("deployments", "bursts", "diurnal")]
    injected, found = sum(count.injected for count in counts), sum(count.found for count in counts)
    assert injected > 20
    assert found >= 0.4 * injected
    assert sum(count.false for count in counts) == 0


@given(st.lists(st.tuples(st.floats(0, 60), st.integers(0, 2**64), st.integers(0, 2**64)), max_size=60))
def test_any_course_of_counters_is_judged(steps: list[tuple[float, int, int]]) -> None:
    at, samples = 0.0, []
    for step, received, again in steps:
        at += step
        samples.append(
            Sample(
                at,
                TcpCounters(received, again, again, received),
                {"ens5": ByteCounters(received, again)},
                {"ens5": DriverCounters()},
                {"ens5": again},
            )
        )
    stall_verdict(Nic(LINK), tuple(samples))
