"""The ledger's bar says how much of what there is, in the width it is given."""

from __future__ import annotations

import pytest

from collectors.memory.metrics import KERNEL
from collectors.model import Level, Metric, Report, Verdict
from daemon import ledger_view

GIB = 1 << 30


def report(**areas: int) -> Report:
    verdict = Verdict("memory_kernel", "host", Level.HEALTHY, evidence={"holder_1": "java pid 7: 2.0 GB\nin 400 sockets", "sure": "no"})
    return Report("memory", 0.0, (verdict,), tuple(Metric(KERNEL, float(size), (area,)) for area, size in areas.items()))


@pytest.mark.parametrize("width", [10, 40, 80, 500])
def test_the_bar_is_as_wide_as_it_may_be(width: int) -> None:
    found = ledger_view.lines(report(free=8 * GIB, anonymous=6 * GIB, unaccounted=2 * GIB), width)
    assert len(found[1]) == max(min(width, 120), 12)


def test_each_share_has_its_length_and_its_words() -> None:
    found = ledger_view.lines(report(free=8 * GIB, anonymous=6 * GIB, unaccounted=2 * GIB, tcp_buffers=GIB), 34)
    assert found[1] == "[" + "#" * 12 + "K" * 4 + "." * 16 + "]"
    assert "K held by the kernel 2.0 GB" in found[2]
    assert "anonymous 6.0 GB, unaccounted 2.0 GB" in found[3]
    assert found[4] == "  of which tcp_buffers 1.0 GB"
    assert found[5] == "  java pid 7: 2.0 GB in 400 sockets"


def test_what_is_there_at_all_can_be_seen() -> None:
    assert "K" in ledger_view.lines(report(free=8 << 40, unaccounted=1), 40)[1]


def test_a_report_without_a_ledger_has_no_bar() -> None:
    assert ledger_view.lines(report()) == []
