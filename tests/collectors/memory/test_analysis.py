"""Analysis: computed once per reading, its slow part once per quarter of an hour; and what `follow_up()` adds to a reading."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from collectors.memory.analysis import analyse
from collectors.memory.collector import KernelMemory
from collectors.memory.settings import MemorySettings
from collectors.memory.trend import growth
from collectors.memory.trend.history import KernelSnapshot
from collectors.model import CollectorContext, Mode
from tests.collectors.memory.hosts import FIXTURES
from tests.collectors.memory.test_panels import READING
from tests.collectors.memory.trend.quarters import GIB, TOTAL, cycle, minutes, quarters

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from collectors.memory.reading import MemoryReading

SETTINGS = MemorySettings(max_extrapolation=1000.0)


def leak() -> MemoryReading:
    """Return a reading of a fast leak, with a snapshot from before it."""
    history = replace(READING.history, total=TOTAL, window=minutes(lambda minute: 40e6 * minute))
    history = history.add_snapshot(KernelSnapshot(5.0, {"dentry": 1 << 20}, frozenset({"ena"})))
    return replace(READING, at=4700.0, history=history, slab={"dentry": 5 << 20}, modules=frozenset({"ena", "nf_tables"}))


def test_judge_measure_and_show_share_one_analysis() -> None:
    reading = leak()
    first = analyse(reading, SETTINGS)
    assert analyse(reading, SETTINGS) is first
    assert analyse(replace(reading, at=4701.0), SETTINGS) is not first
    assert analyse(reading, MemorySettings()) != first, "the settings are arguments too"


def test_gains_are_those_since_the_snapshot_before_the_growth() -> None:
    analysis = analyse(leak(), SETTINGS)
    assert analysis.growth.method == "fast"
    assert analysis.slab_growth == {"dentry": 4 << 20}
    assert analysis.new_modules == {"nf_tables"}


def test_the_slow_part_is_computed_when_a_quarter_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(growth, "steady", lambda slow, total: calls.append((len(slow), total)))
    slow = quarters(cycle, 1.0)
    window = replace(minutes(lambda _: 0.0), slow=slow)
    for _ in range(5):
        window = replace(window, fast=window.fast[1:])
        growth.growth(window, TOTAL, GIB, 4.0)
    assert len(calls) == 1
    growth.growth(replace(window, slow=slow[1:]), TOTAL, GIB, 4.0)
    assert len(calls) == 2


def test_a_leak_is_followed_up_with_the_modules_and_a_scan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    collector = KernelMemory(SETTINGS, CollectorContext(FIXTURES / "vm-6.18/proc", tmp_path, tmp_path))
    started: list[float] = []
    monkeypatch.setattr(collector._scan, "start", started.append)
    assert collector.follow_up(READING, ()) is None
    assert not started
    completed = collector.follow_up(replace(leak(), modules=frozenset()), ())
    assert completed is not None
    assert completed.pressed_protocols == ()
    assert started == [4700.0]
    collector.close()


def test_a_check_waits_for_the_scan_without_a_leak() -> None:
    collector = KernelMemory(SETTINGS, CollectorContext(mode=Mode.CHECK))
    reading = collector.read()
    assert reading.holders is None
    completed = collector.follow_up(reading, ())
    assert completed is not None
    assert completed.holders is not None, completed.holders_error
    assert completed.holders["processes"] > 1
    assert collector.read().holders is completed.holders, "and later readings have its answer too"
    collector.close()
