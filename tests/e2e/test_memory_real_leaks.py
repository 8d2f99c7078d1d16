"""Leaks made for real on this machine: the area that grew, who is named, and the verdicts that do not come.

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

from collectors.memory.attribution import culprit, grown
from collectors.memory.collector import KernelMemory
from collectors.memory.settings import MemorySettings
from collectors.model import CollectorContext, Level, Mode
from tests.kit.leaks import alone, leaking, more

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.memory.reading import Reading

MIB = 1 << 20
HELD_BY_SOCKETS = {"unaccounted", "slab_unreclaimable"}


@pytest.fixture(scope="module", autouse=True)
def _alone() -> Iterator[None]:
    with alone():
        yield


@contextlib.contextmanager
def watching() -> Iterator[KernelMemory]:
    collector = KernelMemory(MemorySettings(), CollectorContext(mode=Mode.CHECK))
    try:
        yield collector
    finally:
        collector.close()


def look(collector: KernelMemory) -> Reading:
    """Look as `vitald check` does; five minutes after the last one, since there is no look before."""
    was = collector.clock
    collector.clock = lambda: was() + 301
    collector.thorough = True
    return collector.read()


@pytest.mark.root
@pytest.mark.parametrize(
    ("kind", "megabytes", "areas", "words"),
    [
        ("tcp", 300, HELD_BY_SOCKETS, "sockets"),
        ("unix", 200, HELD_BY_SOCKETS, "sockets"),
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
        with watching() as collector:
            collector.read()
            with leaking(kind, megabytes) as leaker:
                reading = look(collector)
                who = culprit(reading)
        if next(iter(grown(reading))) in areas:
            break
    assert next(iter(grown(reading))) in areas, grown(reading)
    assert words in who, who
    assert f"pid {leaker.pid}" in who, who


def gained(area: str, kind: str, megabytes: int, path: Path) -> tuple[int, int]:
    """By how much an area and what the kernel holds grew with a leak."""
    with watching() as collector:
        before = collector.read()
        with leaking(kind, megabytes, str(path)):
            after = collector.read()
    return after.ledger.areas[area] - before.ledger.areas[area], after.ledger.held - before.ledger.held


@pytest.mark.parametrize(
    ("kind", "megabytes", "area", "least"),
    [
        ("tmpfs", 400, "shared_memory", 250),
        ("page_cache", 400, "page_cache", 250),
        ("own", 400, "anonymous", 250),
        ("dentries", 100, "slab_reclaimable", 50),
    ],
)
def test_what_a_process_or_a_cache_owns_is_not_the_kernels(kind: str, megabytes: int, area: str, least: int, tmp_path: Path) -> None:
    for number in range(3):  # another program's growth at this moment is in the same counters
        (tmp_path / str(number)).mkdir()
        name = tmp_path / str(number) / ("" if kind == "dentries" else "file")
        owned, held = gained(area, kind, megabytes, name)
        if owned > least * MIB and held < least * MIB // 2:
            break
    assert owned > least * MIB
    assert held < least * MIB // 2


@pytest.mark.root
def test_reserved_huge_pages_are_set_aside() -> None:
    pool = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
    if not pool.exists():
        pytest.skip("this kernel has no huge pages of 2 MiB")
    was = pool.read_text()
    with watching() as collector:
        before = collector.read()
        try:
            pool.write_text(f"{int(was) + 100}\n")
            got = int(pool.read_text()) - int(was)
            after = collector.read()
        finally:
            pool.write_text(was)
    assert got > 0
    assert after.ledger.areas["hugepages"] - before.ledger.areas.get("hugepages", 0) == got * 2 * MIB
    assert after.ledger.held - before.ledger.held < 100 * MIB


@pytest.mark.root
def test_sockets_that_nobody_reads_become_a_warning_that_names_them_and_heal() -> None:
    """The clock runs 30 s a tick; the leak is real. A forecast may reach far here, because the machine is large and the leak small."""
    settings = MemorySettings(max_extrapolation=1000.0)
    collector = KernelMemory(settings, CollectorContext(mode=Mode.CHECK))
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
        collector.thorough = True
        reading = collector.read()
        kernel, process = collector.judge([reading])
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
    assert next(iter(collector.judge([reading]))).level is Level.HEALTHY
    collector.close()


def test_an_ordinary_leak_is_the_processes_own(tmp_path: Path) -> None:
    """One process's anonymous memory grows: the verdict on the kernel stays healthy."""
    collector = KernelMemory(MemorySettings(max_extrapolation=1000.0), CollectorContext(root=tmp_path))
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
            kernel, process = collector.judge([reading])
        finally:
            leaker.kill()
    collector.close()
    assert process.level >= Level.WARNING, process
    assert any(own.growth.sure for own in reading.processes if own.process.pid == leaker.pid), reading.processes
    assert kernel.level is Level.HEALTHY, kernel
