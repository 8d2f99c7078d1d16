"""Texts of every verdict that a reading can lead to: nothing unknown is printed, no slot of a sentence is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.dhcp.judge import judge_leases
from collectors.nic.judge import verdicts
from collectors.path_mtu.judge import judge_path
from collectors.probe.judge import judge
from tests.kit import readings
from tests.kit.texts import assert_complete

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collectors.model import Verdict

pytestmark = pytest.mark.fault(145)


@st.composite
def picks(draw: st.DrawFn) -> Any:
    def pick(values: Sequence[Any]) -> Any:
        return draw(st.sampled_from(values))

    return pick


@settings(max_examples=300, deadline=None)
@given(picks())
def test_nic(pick: readings.Pick) -> None:
    check(verdicts(readings.nic_reading(pick)))


@given(picks())
def test_path_mtu(pick: readings.Pick) -> None:
    check([judge_path("10.0.0.5:22", readings.path_mtu_result(pick))])


@given(picks())
def test_dhcp(pick: readings.Pick) -> None:
    check(judge_leases(*readings.leases(pick)))


@settings(max_examples=50)
@given(picks())
def test_tcp_probe(pick: readings.Pick) -> None:
    check([judge("10.0.0.5:22", readings.target_stats(pick), 3)])


def check(found: Iterable[Verdict]) -> None:
    for verdict in found:
        assert_complete(verdict)
