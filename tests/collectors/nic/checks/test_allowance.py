"""Pure parts: versions, counters, allowances, stalls."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.model import Level
from collectors.nic.change_history import MOST_GONE, Memory, note, shrink, stamp
from collectors.nic.checks.allowance import allowance_verdict
from collectors.nic.checks.version import Shape, numbers, older, release_key, shape
from collectors.nic.checks.version_assessment import stand
from collectors.nic.readers.counters import Counters, increase, understand
from collectors.nic.readers.recorded_ethtool import parse_driver, parse_features, parse_statistics
from collectors.nic.readers.sysfs import Device, Link
from collectors.nic.readers.tcp_counters import Tcp, parse_tcp
from collectors.nic.reading import Nic, Sample

LINK = Link("ens5", 2, 9001, up=True, carrier=True, carrier_changes=2, device=Device(physical=True, driver="ena", module="ena"))


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("", Shape.NONE),
        ("N/A", Shape.NONE),
        ("6.8.0-1044-aws", Shape.KERNEL),
        ("6.1.0-56-cloud-amd64", Shape.KERNEL),
        ("5.10.236-228.935.amzn2.x86_64", Shape.KERNEL),
        ("4.14.186", Shape.KERNEL),  # a vanilla kernel's release, by equality alone
        ("2.17.0g", Shape.GITHUB),
        ("2.1.0K", Shape.UPSTREAM),
        ("1.2.0k", Shape.UPSTREAM),
        ("2.12.1-k", Shape.UPSTREAM),
        ("4.0.3", Shape.OWN),
        ("5.3.36", Shape.OWN),
        ("1.0", Shape.OWN),
        ("nonsense", Shape.NONE),
    ],
)
def test_the_shape_of_a_version_says_whose_it_is(version: str, expected: Shape) -> None:
    assert shape(version, "4.14.186") is expected


def test_versions_are_compared_by_number() -> None:
    assert older("2.2.9", "2.2.10")
    assert not older("2.2.10g", "2.2.10")  # enadiag's LooseVersion rejects it
    assert not older("2.2", "2.2.0")
    assert older("2.9.9", "2.10")
    assert numbers("x") == ()


def test_kernels_are_ordered_as_package_managers_do() -> None:
    order = ["4.14.33-59.37.amzn2.x86_64", "5.4.0-99-aws", "5.4.0-1025-aws", "6.1.0-9-amd64", "6.1.0-56-amd64", "6.12.0~rc1", "6.12.0"]
    assert sorted([*order[1:], order[0]], key=release_key) == order


@pytest.mark.parametrize(
    ("release", "version", "counters", "level"),
    [
        ("4.14.173-137.229.amzn2.x86_64", "4.14.173-137.229.amzn2.x86_64", (), Level.WARNING),
        ("4.14.186-146.268.amzn2.x86_64", "4.14.186-146.268.amzn2.x86_64", (), Level.HEALTHY),
        ("4.18.0-193.el8.x86_64", "4.18.0-193.el8.x86_64", (), Level.WARNING),
        ("4.18.0-240.1.1.el8_3.x86_64", "2.1.0K", (), Level.HEALTHY),  # a number that stood still, in a kernel that is new enough
        ("4.18.0-193.el8.x86_64", "2.1.0K", (), Level.WARNING),
        ("5.4.0-1009-aws", "2.1.0K", ("bw_in_allowance_exceeded",), Level.HEALTHY),  # a capability beats a number
        ("5.4.0-1009-aws", "5.4.0-1009-aws", (), Level.WARNING),
        ("5.4.0-1025-aws", "", (), Level.HEALTHY),
        ("6.8.0-1044-aws", "6.8.0-1044-aws", (), Level.HEALTHY),
    ],
)
def test_the_kernels_own_ena_is_judged_by_the_kernel_that_brings_it(
    release: str, version: str, counters: tuple[str, ...], level: Level
) -> None:
    assert stand("ena", version, release, counters).finding(None)[0] == level


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_upsets_the_version_reader(version: str, release: str) -> None:
    shape(version, release)
    older(version, release)
    sorted([version, release], key=release_key)


@given(st.text(max_size=400))
def test_no_text_upsets_the_parsers(text: str) -> None:
    parse_driver(text)
    parse_features(text)
    parse_statistics(text)
    parse_tcp(text)


@pytest.mark.fault(36)
def test_tcp_columns_are_found_by_name() -> None:
    assert parse_tcp("Tcp: New RetransSegs OutSegs\nTcp: 9 3 50\n") == Tcp(sent=50, retransmitted=3)
    assert parse_tcp("Tcp: OutSegs\nTcp: 50\n") is None
    assert parse_tcp("Tcp: OutSegs\n") is None
    assert parse_tcp("") is None


def test_a_counter_that_starts_again_never_makes_a_negative_rate() -> None:
    assert increase({"bw_in": 11_072, "pps": 5}, {"bw_in": 3, "pps": 5}) == {"bw_in": 3}
    assert increase({}, {"bw_in": 11_072}) == {}


@pytest.mark.fault(33)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=9))
def test_whatever_counters_do_no_increase_is_negative(values: list[int]) -> None:
    for before, after in itertools.pairwise(values):
        assert all(grown > 0 for grown in increase({"x": before}, {"x": after}).values())


def samples(*tables: dict[str, int], step: float = 10.0) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            at * step, None, counters={"ens5": understand("ena", {f"{name}_allowance_exceeded": value for name, value in table.items()}, 0)}
        )
        for at, table in enumerate(tables)
    )


def ena(seen: tuple[Sample, ...], available: int | None = None) -> Nic:
    return Nic(LINK, counters=replace(seen[-1].counters["ens5"], missing=(), available=available))


FULL = {"bw_in": 11_072, "bw_out": 0, "pps": 0, "conntrack": 0, "linklocal": 0}


def test_the_first_look_at_an_allowance_is_a_baseline_and_never_a_spike() -> None:
    seen = samples(FULL)
    verdict = allowance_verdict(ena(seen), seen)
    assert verdict is not None
    assert verdict.level == Level.HEALTHY


def test_an_instance_that_is_shaped_now_is_told_with_figures_and_heals() -> None:
    seen = samples(FULL, {**FULL, "bw_in": 11_572})
    verdict = allowance_verdict(ena(seen), seen)
    assert verdict is not None
    assert verdict.level == Level.WARNING
    assert "inbound bandwidth exceeded by 500 packets (50/s)" in verdict.message
    later = samples(FULL, *[{**FULL, "bw_in": 11_572}] * 9)
    verdict = allowance_verdict(ena(later), later)
    assert verdict is not None
    assert verdict.level == Level.HEALTHY


def test_a_full_connection_table_is_critical() -> None:
    seen = samples(FULL, {**FULL, "conntrack": 1})
    verdict = allowance_verdict(ena(seen), seen)
    assert verdict is not None
    assert verdict.level == Level.CRITICAL
    assert verdict.message.startswith("EC2 is shaping this instance now: connection tracking")


@pytest.mark.parametrize(("left", "level"), [(51_286, Level.HEALTHY), (1_500, Level.WARNING), (0, Level.CRITICAL)])
def test_few_connections_left_are_told_before_they_run_out(left: int, level: Level) -> None:
    seen = samples(FULL, FULL)
    verdict = allowance_verdict(ena(seen, available=left), seen)
    assert verdict is not None
    assert verdict.level == level


@pytest.mark.fault(33)
def test_statistics_that_shrink_are_no_spike() -> None:
    seen = samples(FULL, {"pps": 0}, FULL)
    verdict = allowance_verdict(ena(seen), seen)
    assert verdict is not None
    assert verdict.level == Level.HEALTHY


def test_a_driver_without_allowances_has_no_verdict_on_them() -> None:
    assert allowance_verdict(Nic(LINK, counters=Counters()), ()) is None


def test_times_beyond_sense_are_written_as_unknown() -> None:
    assert stamp(None) == stamp(-1.0) == stamp(float("inf")) == stamp(float("nan")) == "unknown"


def test_of_interfaces_that_are_gone_the_last_ones_are_remembered_and_those_that_are_there() -> None:
    known: Memory = {}
    for number in range(500):
        note(known, f"veth{number}", {"mtu": 1500}, 1.0)
        shrink(known, {"veth0"})
        assert len(known) <= 1 + MOST_GONE
    assert {"veth0", "veth499"} <= set(known)
