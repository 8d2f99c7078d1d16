"""Versions of drivers and releases of kernels: origin, order, assessment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.model import Level
from collectors.nic.checks.version import VersionOrigin, is_older, release_key, version_numbers, version_origin
from collectors.nic.checks.version_assessment import assess_version


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("", VersionOrigin.NONE),
        ("N/A", VersionOrigin.NONE),
        ("6.8.0-1044-aws", VersionOrigin.KERNEL),
        ("6.1.0-56-cloud-amd64", VersionOrigin.KERNEL),
        ("5.10.236-228.935.amzn2.x86_64", VersionOrigin.KERNEL),
        ("4.14.186", VersionOrigin.KERNEL),  # a vanilla kernel's release, by equality alone
        ("2.17.0g", VersionOrigin.GITHUB),
        ("2.1.0K", VersionOrigin.UPSTREAM),
        ("1.2.0k", VersionOrigin.UPSTREAM),
        ("2.12.1-k", VersionOrigin.UPSTREAM),
        ("4.0.3", VersionOrigin.OWN),
        ("5.3.36", VersionOrigin.OWN),
        ("1.0", VersionOrigin.OWN),
        ("nonsense", VersionOrigin.NONE),
    ],
)
def test_the_origin_of_a_version(version: str, expected: VersionOrigin) -> None:
    assert version_origin(version, "4.14.186") is expected


def test_versions_are_compared_by_number() -> None:
    assert is_older("2.2.9", "2.2.10")
    assert not is_older("2.2.10g", "2.2.10")  # enadiag's LooseVersion rejects it
    assert not is_older("2.2", "2.2.0")
    assert is_older("2.9.9", "2.10")
    assert version_numbers("x") == ()


def test_kernels_are_ordered_as_package_managers_do() -> None:
    order = ["4.14.33-59.37.amzn2.x86_64", "5.4.0-99-aws", "5.4.0-1025-aws", "6.1.0-9-amd64", "6.1.0-56-amd64", "6.12.0~rc1", "6.12.0"]
    assert sorted([*order[1:], order[0]], key=release_key) == order


@pytest.mark.parametrize(
    ("release", "version", "counters", "level"),
    [
        ("4.14.173-137.229.amzn2.x86_64", "4.14.173-137.229.amzn2.x86_64", (), Level.WARNING),
        ("4.14.186-146.268.amzn2.x86_64", "4.14.186-146.268.amzn2.x86_64", (), Level.HEALTHY),
        ("4.18.0-193.el8.x86_64", "4.18.0-193.el8.x86_64", (), Level.WARNING),
        ("4.18.0-240.1.1.el8_3.x86_64", "2.1.0K", (), Level.HEALTHY),  # a version that stayed the same, in a kernel that is new enough
        ("4.18.0-193.el8.x86_64", "2.1.0K", (), Level.WARNING),
        ("5.4.0-1009-aws", "2.1.0K", ("bw_in_allowance_exceeded",), Level.HEALTHY),  # a counter is stronger evidence than a version
        ("5.4.0-1009-aws", "5.4.0-1009-aws", (), Level.WARNING),
        ("5.4.0-1025-aws", "", (), Level.HEALTHY),
        ("6.8.0-1044-aws", "6.8.0-1044-aws", (), Level.HEALTHY),
    ],
)
def test_the_in_tree_ena_is_judged_by_its_kernel(release: str, version: str, counters: tuple[str, ...], level: Level) -> None:
    assert assess_version("ena", version, release, counters).finding(None)[0] == level


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_a_version(version: str, release: str) -> None:
    version_origin(version, release)
    is_older(version, release)
    sorted([version, release], key=release_key)
