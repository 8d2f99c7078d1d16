"""The ledger adds up on every kernel we have a picture of, and says what it does not know."""

from __future__ import annotations

import random

import pytest

from collectors.memory.ledger import AREAS, Besides, ledger
from collectors.memory.procfs import meminfo, zfs
from collectors.memory.procfs.sockstat import Sockets
from collectors.model import Unavailable
from tests.collectors.memory.hosts import FIXTURES, HOSTS, books

MIB = 1 << 20


@pytest.mark.parametrize("name", HOSTS)
def test_the_areas_add_up_to_memtotal(name: str) -> None:
    one = books(name)
    assert sum(one.areas.values()) + one.excess == one.total
    assert one.consistent
    assert set(one.areas) <= set(AREAS)
    assert all(size >= 0 for size in one.areas.values())


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize(
    "field", ["Shmem", "KReclaimable", "VmallocUsed", "Percpu", "KernelStack", "Zswap", "SecPageTables", "MemAvailable"]
)
@pytest.mark.fault(36)
def test_a_field_that_is_missing_moves_its_pages_to_unaccounted(name: str, field: str) -> None:
    one = books(name, leave_out=(field,))
    assert sum(one.areas.values()) + one.excess == one.total
    assert 0 < one.available <= one.total


@pytest.mark.fault(36)
def test_a_missing_field_is_not_a_zero() -> None:
    assert "percpu" not in books("rhcos-4.18").areas
    assert "vmalloc" not in books("rhcos-4.18").areas, "this kernel prints VmallocUsed as 0 because it does not count"
    assert "percpu" in books("laptop-6.17").areas


def test_huge_pages_are_set_aside_and_not_unaccounted() -> None:
    plain, reserved = books("vm-6.18"), books("vm-6.18-hugepages")
    assert reserved.areas["hugepages"] == 512 * MIB
    assert abs(reserved.areas["unaccounted"] - plain.areas["unaccounted"]) < 8 * MIB
    assert abs(reserved.held - plain.held) < 8 * MIB
    assert books("hugepages-old").areas["hugepages"] == 6012 * 2 * MIB, "no Hugetlb line: pages times their size"


def test_a_tmpfs_is_shared_memory_and_not_the_kernels() -> None:
    plain, filled = books("vm-6.18"), books("vm-6.18-tmpfs")
    assert abs(filled.areas["shared_memory"] - plain.areas["shared_memory"] - 512 * MIB) < MIB
    assert abs(filled.held - plain.held) < 32 * MIB


def test_zswap_is_what_it_takes_and_not_what_it_saved() -> None:
    assert books("vm-6.18-zswap").areas["compressed_swap"] == 7196 * 1024


def test_kernel_stacks_are_not_counted_twice_in_vmalloc() -> None:
    one = books("laptop-6.17")
    assert one.areas["vmalloc"] + one.areas["kernel_stack"] == 118656 * 1024


def test_vmalloc_of_kernels_before_4_4_held_devices_and_is_left_out() -> None:
    assert "vmalloc" not in books("el7-3.10-slab").areas
    assert books("el7-3.10-slab").areas["slab_unreclaimable"] == 6957348 * 1024


def test_a_balloon_that_leaves_memtotal_alone_is_an_area_of_its_own() -> None:
    hidden = books("rhcos-4.18")
    seen = books("rhcos-4.18", balloon=5 << 30)
    assert hidden.areas["unaccounted"] - seen.areas["unaccounted"] == 5 << 30
    assert seen.held == hidden.held - (5 << 30)


def test_the_zfs_cache_is_a_cache() -> None:
    fields = meminfo.read(FIXTURES / "laptop-6.17/proc")
    arc = zfs.Arc(size=400 * MIB, floor=100 * MIB, pages=350 * MIB)
    with_it = ledger(fields, Besides(Sockets(), arc=arc))
    without = ledger(fields, Besides(Sockets(), arc=None))
    assert with_it.areas["zfs_cache"] == 350 * MIB
    assert with_it.held == without.held - 350 * MIB
    assert with_it.available == without.available + 300 * MIB
    assert with_it.of_which["zfs_arc"] == 400 * MIB


def test_a_cache_of_zfs_larger_than_the_rest_takes_the_rest_only() -> None:
    fields = meminfo.read(FIXTURES / "vm-6.18/proc")
    one = ledger(fields, Besides(Sockets(), arc=zfs.Arc(9 << 40, 0, 9 << 40)))
    assert one.areas["unaccounted"] == 0
    assert sum(one.areas.values()) == one.total
    assert one.available <= one.total


def test_a_machine_with_12_tb() -> None:
    fields = {name: size * 209 for name, size in meminfo.read(FIXTURES / "laptop-6.17/proc").items()}
    one = ledger(fields, Besides(Sockets(), arc=None))
    assert one.total > 12e12
    assert sum(one.areas.values()) == one.total


@pytest.mark.fault(37)
def test_a_containers_own_view_is_refused() -> None:
    text = (FIXTURES / "lxcfs-5.0/proc/self/mountinfo").read_text()
    assert meminfo.is_a_containers(text)
    assert not meminfo.is_a_containers("22 1 0:21 / /proc rw - proc proc rw\n")
    assert not books("lxcfs-5.0").consistent


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    "line",
    ["Slab:", "Slab: kB", "Slab: -5 kB", "Slab: 18446744073709551612 kB", "Slab: 12 MB", "Slab 12 kB", "Slab: ١٢ kB", ":", "Slab: 1e9 kB"],
)
def test_a_line_of_nonsense_is_an_unknown_field(line: str) -> None:
    fields = meminfo.parse(f"MemTotal: 1000 kB\n{line}\nMemFree: 10 kB\n")
    assert "Slab" not in fields
    assert fields["MemTotal"] == 1024000


@pytest.mark.fault(36)
def test_the_order_of_lines_does_not_matter() -> None:
    text = (FIXTURES / "vm-6.18/proc/meminfo").read_text()
    lines = text.splitlines()
    random.Random(1).shuffle(lines)  # noqa: S311 — an order, not a secret
    assert meminfo.parse("\n".join(lines)) == meminfo.parse(text)


@pytest.mark.parametrize("text", ["", "MemTotal: 0 kB\nMemFree: 0 kB\n", "MemFree: 5 kB\n", "\0\0\0", "MemTotal: x kB"])
def test_a_meminfo_without_its_totals_is_unavailable(text: str) -> None:
    with pytest.raises(Unavailable):
        meminfo.parse(text)
