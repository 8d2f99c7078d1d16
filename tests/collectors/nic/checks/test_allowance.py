"""EC2 allowances: increases, levels, drivers without them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collectors.model import Level
from collectors.nic.checks.allowance import allowance_verdict
from collectors.nic.readers.counters import DriverCounters, driver_counters
from collectors.nic.readers.sysfs import Device, LinkState
from collectors.nic.reading import Nic
from collectors.nic.samples import Sample

LINK = LinkState("ens5", 2, 9001, up=True, carrier=True, carrier_changes=2, device=Device(physical=True, driver="ena", module="ena"))


def sampled(*tables: dict[str, int], step: float = 10.0) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            at * step,
            None,
            counters={"ens5": driver_counters("ena", {f"{name}_allowance_exceeded": value for name, value in table.items()}, 0)},
        )
        for at, table in enumerate(tables)
    )


def ena(samples: tuple[Sample, ...], available: int | None = None) -> Nic:
    return Nic(LINK, counters=replace(samples[-1].counters["ens5"], missing=(), conntrack_available=available))


FULL = {"bw_in": 11_072, "bw_out": 0, "pps": 0, "conntrack": 0, "linklocal": 0}


def test_the_first_sample_of_an_allowance_is_a_baseline() -> None:
    samples = sampled(FULL)
    verdict = allowance_verdict(ena(samples), samples)
    assert verdict is not None
    assert verdict.level == Level.HEALTHY


def test_shaping_is_a_warning_with_figures_and_clears() -> None:
    samples = sampled(FULL, {**FULL, "bw_in": 11_572})
    verdict = allowance_verdict(ena(samples), samples)
    assert verdict is not None
    assert verdict.level == Level.WARNING
    assert "inbound bandwidth exceeded by 500 packets (50/s)" in verdict.message
    samples = sampled(FULL, *[{**FULL, "bw_in": 11_572}] * 9)
    verdict = allowance_verdict(ena(samples), samples)
    assert verdict is not None
    assert verdict.level == Level.HEALTHY


def test_a_full_connection_table_is_critical() -> None:
    samples = sampled(FULL, {**FULL, "conntrack": 1})
    verdict = allowance_verdict(ena(samples), samples)
    assert verdict is not None
    assert verdict.level == Level.CRITICAL
    assert verdict.message.startswith("EC2 is shaping this instance now: connection tracking")


@pytest.mark.parametrize(("left", "level"), [(51_286, Level.HEALTHY), (1_500, Level.WARNING), (0, Level.CRITICAL)])
def test_few_connections_left_are_reported_before_they_run_out(left: int, level: Level) -> None:
    samples = sampled(FULL, FULL)
    verdict = allowance_verdict(ena(samples, available=left), samples)
    assert verdict is not None
    assert verdict.level == level


@pytest.mark.fault(33)
def test_statistics_that_decrease_are_no_increase() -> None:
    samples = sampled(FULL, {"pps": 0}, FULL)
    verdict = allowance_verdict(ena(samples), samples)
    assert verdict is not None
    assert verdict.level == Level.HEALTHY


def test_a_driver_without_allowances_has_no_verdict() -> None:
    assert allowance_verdict(Nic(LINK, counters=DriverCounters()), ()) is None
