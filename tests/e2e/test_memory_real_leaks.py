"""Real leaks on this machine: the area that grew, the process that is named, and the verdicts that must not be.

Small ones, since the machine is shared.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.memory.analysis import analyse
from collectors.memory.attribution import attribute, growth_by_area
from collectors.memory.collector import KernelMemory
from collectors.memory.settings import MemorySettings
from collectors.model import CollectorContext, Level, Mode
from tests.kit.contexts import LiveContext
from tests.kit.leaks import alone, leaking, more

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.memory.analysis import MemoryAnalysis

MIB = 1 << 20
SETTINGS = MemorySettings()
FAR = MemorySettings(max_extrapolation=1000.0)  # this machine is large and the leak small
SOCKET_AREAS = {"unaccounted", "slab_unreclaimable"}


@pytest.fixture(scope="module", autouse=True)
def _alone() -> Iterator[None]:
    with alone():
        yield


@contextlib.contextmanager
def opened() -> Iterator[KernelMemory]:
    collector = KernelMemory(SETTINGS, CollectorContext(mode=Mode.CHECK))
    try:
        yield collector
    finally:
        collector.close()


def analysis_with_holders(collector: KernelMemory) -> MemoryAnalysis:
    """Read and follow up as `vitald check` does."""
    reading = collector.read()
    completed = collector.follow_up(reading, list(collector.judge([reading], SETTINGS)))
    assert completed is not None
    return analyse(completed, SETTINGS)


@pytest.mark.root
@pytest.mark.parametrize(
    ("kind", "megabytes", "areas", "words"),
    [
        ("tcp", 300, SOCKET_AREAS, "sockets"),
        ("unix", 200, SOCKET_AREAS, "sockets"),
        ("pipes", 200, {"unaccounted"}, "pipes"),
        ("slab", 60, {"slab_unreclaimable"}, "eventpoll"),
        ("inotify", 150, {"slab_unreclaimable"}, "60 open anon_inode:inotify"),
        ("netns", 100, {"slab_unreclaimable"}, "700 open network namespace"),
        ("page_tables", 100, {"page_tables"}, "page tables"),
        ("stacks", 90, {"kernel_stack"}, "threads"),
    ],
)
def test_a_leak_is_named_with_its_area_and_its_holder(kind: str, megabytes: int, areas: set[str], words: str) -> None:
    for _ in range(3):  # all of one kernel's programs share its counters: another's growth at this moment is not ours
        with opened() as collector:
            collector.read()
            with leaking(kind, megabytes) as leaker:
                analysis = analysis_with_holders(collector)
                cause = attribute(analysis)
        if next(iter(growth_by_area(analysis))) in areas:
            break
    assert next(iter(growth_by_area(analysis))) in areas, growth_by_area(analysis)
    assert words in cause, cause
    assert f"pid {leaker.pid}" in cause, cause


def gained(area: str, kind: str, megabytes: int, path: Path) -> tuple[int, int]:
    """Return how much an area and the unreclaimable memory grew with a leak."""
    with opened() as collector:
        before = collector.read()
        with leaking(kind, megabytes, str(path)):
            after = collector.read()
    return after.ledger.areas[area] - before.ledger.areas[area], after.ledger.unreclaimable - before.ledger.unreclaimable


@pytest.mark.parametrize(
    ("kind", "megabytes", "area", "least"),
    [
        ("tmpfs", 400, "shared_memory", 250),
        ("page_cache", 400, "page_cache", 250),
        ("own", 400, "anonymous", 250),
        ("dentries", 100, "slab_reclaimable", 50),
    ],
)
def test_memory_of_a_process_or_a_cache_is_not_unreclaimable(kind: str, megabytes: int, area: str, least: int, tmp_path: Path) -> None:
    for number in range(3):  # another program's growth at this moment is in the same counters
        (tmp_path / str(number)).mkdir()
        name = tmp_path / str(number) / ("" if kind == "dentries" else "file")
        owned, unreclaimable = gained(area, kind, megabytes, name)
        if owned > least * MIB and unreclaimable < least * MIB // 2:
            break
    assert owned > least * MIB
    assert unreclaimable < least * MIB // 2


@pytest.mark.root
def test_reserved_huge_pages_are_set_aside() -> None:
    pool = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
    if not pool.exists():
        pytest.skip("this kernel has no huge pages of 2 MiB")
    was = pool.read_text()
    with opened() as collector:
        before = collector.read()
        try:
            pool.write_text(f"{int(was) + 100}\n")
            got = int(pool.read_text()) - int(was)
            after = collector.read()
        finally:
            pool.write_text(was)
    assert got > 0
    assert after.ledger.areas["hugepages"] - before.ledger.areas.get("hugepages", 0) == got * 2 * MIB
    assert after.ledger.unreclaimable - before.ledger.unreclaimable < 100 * MIB


@pytest.mark.root
def test_sockets_that_are_not_read_are_a_warning_that_names_them_and_clears() -> None:
    """The clock advances by 30 s a tick; the leak is real."""
    collector = KernelMemory(FAR, CollectorContext(mode=Mode.CHECK))
    now = [time.clock_gettime(time.CLOCK_BOOTTIME)]
    collector.clock = lambda: now[0]
    total = collector.read().ledger.total
    each = max(total // 1200 >> 20, 4)
    with leaking("tcp", each) as leaker:
        for _ in range(24):
            now[0] += 15
            collector.read()
            more(leaker, each)
        now[0] += 15
        reading = collector.read()
        completed = collector.follow_up(reading, list(collector.judge([reading], FAR)))
        assert completed is not None
        kernel, process = collector.judge([completed], FAR)
    assert kernel.level is Level.WARNING, kernel
    assert "grows by" in kernel.message
    assert "UTC" in kernel.message
    assert "sockets" in kernel.message
    assert f"{os.path.basename(sys.executable)[:6]}" in kernel.message  # noqa: PTH119
    assert kernel.remediation
    assert process.level is Level.HEALTHY, process
    for _ in range(12):
        now[0] += 30
        reading = collector.read()
    assert next(iter(collector.judge([reading], FAR))).level is Level.HEALTHY
    collector.close()


def test_an_ordinary_leak_is_a_verdict_on_the_process(tmp_path: Path) -> None:
    """One process's anonymous memory grows: the verdict on the kernel stays healthy."""
    collector = KernelMemory(FAR, LiveContext(root=tmp_path))
    now = [time.clock_gettime(time.CLOCK_BOOTTIME)]
    collector.clock = lambda: now[0]
    total = collector.read().ledger.total
    step = max(total // 200, 64 * MIB) >> 20
    code = (
        f"import sys\nkept = []\nfor _ in sys.stdin:\n    kept.append(bytearray(b'x') * ({step} << 20))\n    print(len(kept), flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as leaker:
        assert leaker.stdin is not None
        assert leaker.stdout is not None
        try:
            for _ in range(14):
                leaker.stdin.write("more\n")
                leaker.stdin.flush()
                leaker.stdout.readline()
                now[0] += 300
                reading = collector.read()
            kernel, process = collector.judge([reading], FAR)
        finally:
            leaker.kill()
    collector.close()
    assert process.level >= Level.WARNING, process
    processes = analyse(reading, FAR).processes
    assert any(found.growth.is_leak for found in processes if found.process.pid == leaker.pid), processes
    assert kernel.level is Level.HEALTHY, kernel
