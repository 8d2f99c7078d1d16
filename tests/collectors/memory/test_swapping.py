"""The ledger of hosts that swap, on captures of guests (tests/vm/swap_fixtures.py): to a disk, with zswap, with zram."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.memory.collector import KernelMemory
from collectors.memory.ledger import ExtraCounters, ledger
from collectors.memory.procfs.meminfo import read_meminfo
from collectors.memory.procfs.net import SocketMemory
from collectors.memory.procfs.swap import LRU_LISTS, compressed_swap_bytes, mapped_swap_cache
from collectors.memory.procfs.vmstat import read_vmstat
from collectors.memory.settings import MemorySettings
from collectors.model import CollectorContext, Level
from tests.collectors.memory.hosts import FIXTURES, HOSTS, ledger_of

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
SWAPPING = [name for name in HOSTS if name.startswith("swap-")]
GUESTS = sorted({name.rpartition("-")[0] for name in SWAPPING})


def mapped(name: str) -> int:
    """Return what the ledger of a fixture host takes as mapped, and in the swap cache."""
    return read_meminfo(FIXTURES / name / "proc")["SwapCached"] - ledger_of(name).areas["swap_cache"]


@pytest.mark.fault(138)
@pytest.mark.fault(139)
@pytest.mark.parametrize("name", SWAPPING)
def test_the_areas_add_up_and_swapping_moves_no_page_to_the_kernel(name: str) -> None:
    """`unaccounted` and what the kernel cannot free are those of the same guest before it swapped, but for page tables and slab."""
    found, before = ledger_of(name), ledger_of(f"{name.rpartition('-')[0]}-before")
    assert sum(found.areas.values()) == found.total
    assert found.excess == 0
    assert abs(found.areas["unaccounted"] - before.areas["unaccounted"]) < 16 * MIB
    assert abs(found.unreclaimable - before.unreclaimable) < 32 * MIB


@pytest.mark.fault(138)
@pytest.mark.parametrize("guest", [guest for guest in GUESTS if not guest.endswith("-zram")])
def test_each_guest_has_pages_that_are_counted_twice(guest: str) -> None:
    """The captures are of the case: after pages were read again, the two counters together are far above what there is.

    Not those of zram: a page of a synchronous device is swapped in without the swap cache (mm/memory.c, do_swap_page).
    """
    assert max(mapped(f"{guest}-{moment}") for moment in ("out", "in", "after")) > 32 * MIB
    assert mapped(f"{guest}-before") == 0


@pytest.mark.fault(138)
@pytest.mark.parametrize("name", SWAPPING)
def test_the_collector_judges_a_host_that_swaps(name: str, tmp_path: Path) -> None:
    settings = MemorySettings()
    collector = KernelMemory(settings, CollectorContext(FIXTURES / name / "proc", FIXTURES / name / "sys", tmp_path))
    reading = collector.read()
    kernel, _ = collector.judge([reading], settings)
    nearly_gone = reading.ledger.available < reading.ledger.total * 0.03
    assert kernel.level is (Level.CRITICAL if nearly_gone else Level.HEALTHY)
    collector.close()


@pytest.mark.fault(138)
@pytest.mark.parametrize("name", SWAPPING)
def test_without_the_lists_no_more_than_the_excess_is_taken_as_mapped(name: str) -> None:
    """A meminfo without LRU lists: the areas add up all the same, as far as the two counters can overlap."""
    found = ledger_of(name, leave_out=LRU_LISTS)
    assert sum(found.areas.values()) + found.excess == found.total
    assert found.consistent


@pytest.mark.fault(139)
@pytest.mark.parametrize("name", [name for name in SWAPPING if "-zram-" in name])
def test_zram_takes_what_its_own_statistics_say(name: str) -> None:
    used = int(
        (FIXTURES / name / "sys/block/zram0/mm_stat").read_text().split()[2]
    )  # mem_used_total, Documentation/admin-guide/blockdev/zram.rst
    assert abs(ledger_of(name).areas["compressed_swap"] - used) < 2 * MIB


@pytest.mark.fault(139)
@pytest.mark.parametrize("name", [name for name in SWAPPING if "-zswap-" in name and "Zswap" in read_meminfo(FIXTURES / name / "proc")])
def test_zswap_takes_its_pool(name: str) -> None:
    assert ledger_of(name).areas["compressed_swap"] == read_meminfo(FIXTURES / name / "proc")["Zswap"]


@pytest.mark.fault(139)
@pytest.mark.parametrize(("allocator", "expected"), [("zbud", 300), ("z3fold", 300), ("zsmalloc", 200), ("", 200)])
def test_zswap_and_zram_are_added_where_their_pages_are_not_the_same(tmp_path: Path, allocator: str, expected: int) -> None:
    (tmp_path / "module/zswap/parameters").mkdir(parents=True)
    if allocator:
        (tmp_path / "module/zswap/parameters/zpool").write_text(allocator + "\n")
    fields, counters = {"Zswap": 100 * MIB}, {"nr_zspages": 200 * MIB // 4096}
    assert compressed_swap_bytes(fields, counters, 4096, tmp_path) == expected * MIB
    assert compressed_swap_bytes({}, {}, 4096, tmp_path) is None
    assert compressed_swap_bytes({}, counters, 4096, tmp_path) == 200 * MIB


SIZES = st.integers(0, 1 << 44)
FIELDS = ("MemTotal", "MemFree", "AnonPages", "SwapCached", "Cached", "Buffers", "Shmem", *LRU_LISTS)


@pytest.mark.fault(138)
@given(st.fixed_dictionaries({"MemTotal": st.integers(1, 1 << 44)}, optional=dict.fromkeys(FIELDS[1:], SIZES)), SIZES)
def test_what_is_taken_as_mapped_is_never_more_than_either_counter(fields: dict[str, int], isolated: int) -> None:
    most = min(fields.get("AnonPages", 0), fields.get("SwapCached", 0))
    assert 0 <= mapped_swap_cache(fields, isolated, fields["MemTotal"] - fields.get("AnonPages", 0)) <= most
    found = ledger({"MemFree": 0, **fields}, ExtraCounters(SocketMemory(), isolated=isolated))
    assert sum(found.areas.values()) + found.excess == found.total
    assert all(size >= 0 for size in found.areas.values())
    assert found.excess <= 0


def test_the_counters_that_tell_are_read() -> None:
    for name in SWAPPING:
        assert {"nr_isolated_anon", "nr_isolated_file", "nr_zspages"} <= set(read_vmstat(FIXTURES / name / "proc"))
