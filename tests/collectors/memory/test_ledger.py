"""The ledger adds up on the fixtures of every kernel, and has no area for what is unknown."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.memory.ledger import FREE, RECLAIMABLE, SET_ASIDE, UNRECLAIMABLE, USER, ExtraCounters, ledger
from collectors.memory.procfs.meminfo import container_view, parse_meminfo, read_meminfo
from collectors.memory.procfs.net import SocketMemory
from collectors.memory.procfs.zfs import Arc
from collectors.model import Unavailable
from tests.collectors.memory.hosts import FIXTURES, HOSTS, ledger_of

MIB = 1 << 20


@pytest.mark.parametrize("name", HOSTS)
def test_the_areas_add_up_to_memtotal(name: str) -> None:
    found = ledger_of(name)
    assert sum(found.areas.values()) + found.excess == found.total
    assert found.consistent
    assert set(found.areas) <= {*FREE, *USER, *SET_ASIDE, *RECLAIMABLE, *UNRECLAIMABLE}
    assert all(size >= 0 for size in found.areas.values())


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize(
    "field", ["Shmem", "KReclaimable", "VmallocUsed", "Percpu", "KernelStack", "Zswap", "SecPageTables", "MemAvailable"]
)
@pytest.mark.fault(36)
def test_a_field_that_is_missing_moves_its_pages_to_unaccounted(name: str, field: str) -> None:
    found = ledger_of(name, leave_out=(field,))
    assert sum(found.areas.values()) + found.excess == found.total
    assert 0 <= found.available <= found.total  # a guest that swaps had none left


@pytest.mark.fault(36)
def test_a_missing_field_is_not_a_zero() -> None:
    assert "percpu" not in ledger_of("rhcos-4.18").areas
    assert "vmalloc" not in ledger_of("rhcos-4.18").areas, "this kernel prints VmallocUsed as 0 because it does not count"
    assert "percpu" in ledger_of("laptop-6.17").areas


def test_huge_pages_are_set_aside_and_not_unaccounted() -> None:
    plain, reserved = ledger_of("vm-6.18"), ledger_of("vm-6.18-hugepages")
    assert reserved.areas["hugepages"] == 512 * MIB
    assert abs(reserved.areas["unaccounted"] - plain.areas["unaccounted"]) < 8 * MIB
    assert abs(reserved.unreclaimable - plain.unreclaimable) < 8 * MIB
    assert ledger_of("hugepages-old").areas["hugepages"] == 6012 * 2 * MIB, "no Hugetlb line: pages times their size"


def test_a_tmpfs_is_shared_memory_and_not_the_kernels() -> None:
    plain, filled = ledger_of("vm-6.18"), ledger_of("vm-6.18-tmpfs")
    assert abs(filled.areas["shared_memory"] - plain.areas["shared_memory"] - 512 * MIB) < MIB
    assert abs(filled.unreclaimable - plain.unreclaimable) < 32 * MIB


def test_zswap_is_its_pool_and_not_what_is_stored_in_it() -> None:
    assert ledger_of("vm-6.18-zswap").areas["compressed_swap"] == 7196 * 1024


def test_kernel_stacks_are_not_counted_twice_in_vmalloc() -> None:
    found = ledger_of("laptop-6.17")
    assert found.areas["vmalloc"] + found.areas["kernel_stack"] == 118656 * 1024


def test_vmalloc_of_kernels_before_4_4_held_devices_and_is_left_out() -> None:
    assert "vmalloc" not in ledger_of("el7-3.10-slab").areas
    assert ledger_of("el7-3.10-slab").areas["slab_unreclaimable"] == 6957348 * 1024


def test_a_balloon_that_leaves_memtotal_alone_is_an_area_of_its_own() -> None:
    hidden = ledger_of("rhcos-4.18")
    seen = ledger_of("rhcos-4.18", balloon=5 << 30)
    assert hidden.areas["unaccounted"] - seen.areas["unaccounted"] == 5 << 30
    assert seen.unreclaimable == hidden.unreclaimable - (5 << 30)


def test_the_zfs_cache_is_a_cache() -> None:
    fields = read_meminfo(FIXTURES / "laptop-6.17/proc")
    arc = Arc(size=400 * MIB, c_min=100 * MIB, pages=350 * MIB)
    with_it = ledger(fields, ExtraCounters(SocketMemory(), arc=arc))
    without = ledger(fields, ExtraCounters(SocketMemory(), arc=None))
    assert with_it.areas["zfs_cache"] == 350 * MIB
    assert with_it.unreclaimable == without.unreclaimable - 350 * MIB
    assert with_it.available == without.available + 300 * MIB
    assert with_it.of_which["zfs_arc"] == 400 * MIB


def test_a_cache_of_zfs_larger_than_the_rest_takes_the_rest_only() -> None:
    fields = read_meminfo(FIXTURES / "vm-6.18/proc")
    found = ledger(fields, ExtraCounters(SocketMemory(), arc=Arc(9 << 40, 0, 9 << 40)))
    assert found.areas["unaccounted"] == 0
    assert sum(found.areas.values()) == found.total
    assert found.available <= found.total


def test_a_machine_with_12_tb() -> None:
    fields = {name: size * 209 for name, size in read_meminfo(FIXTURES / "laptop-6.17/proc").items()}
    found = ledger(fields, ExtraCounters(SocketMemory(), arc=None))
    assert found.total > 12e12
    assert sum(found.areas.values()) == found.total


@pytest.mark.fault(37)
def test_a_containers_own_view_is_refused() -> None:
    assert container_view(FIXTURES / "lxcfs-5.0/proc") == "fuse.lxcfs"
    assert not container_view(FIXTURES / "vm-6.18/proc")
    assert not container_view(Path("/proc"))
    assert not ledger_of("lxcfs-5.0").consistent


@pytest.mark.root
@pytest.mark.needs("unshare", "mount")
@pytest.mark.fault(37)
@pytest.mark.parametrize("procfs", ["/proc", "{}/host/proc"], ids=["its own", "the host's, elsewhere"])
@pytest.mark.parametrize("over", ["/proc", "{}/host/proc"], ids=["its own", "the host's, elsewhere"])
def test_a_mount_over_meminfo_is_found_wherever_procfs_is_and_only_there(tmp_path: Path, procfs: str, over: str) -> None:
    """In a mount namespace: a container that sees the host's procfs at another path, and lxcfs (here a plain file) over one of them."""
    procfs, over = procfs.format(tmp_path), over.format(tmp_path)
    code = "import sys; from pathlib import Path; from collectors.memory.procfs import meminfo; "
    code += "print(meminfo.container_view(Path(sys.argv[1])))"
    script = f"mkdir -p {tmp_path}/host/proc && mount --bind /proc {tmp_path}/host/proc && cp /proc/meminfo {tmp_path}/m"
    script += f" && mount --bind {tmp_path}/m {over}/meminfo && exec {sys.executable} -c '{code}' {procfs}"
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    assert bool(done.stdout.strip()) is (procfs == over), done.stdout


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    "line",
    ["Slab:", "Slab: kB", "Slab: -5 kB", "Slab: 18446744073709551612 kB", "Slab: 12 MB", "Slab 12 kB", "Slab: ١٢ kB", ":", "Slab: 1e9 kB"],
)
def test_an_invalid_line_is_an_unknown_field(line: str) -> None:
    fields = parse_meminfo(f"MemTotal: 1000 kB\n{line}\nMemFree: 10 kB\n")
    assert "Slab" not in fields
    assert fields["MemTotal"] == 1024000


NUMBERS = st.sampled_from(
    ["-1", "-68719476736", "0", "7", "900", "1000", "1001", "18446744073709551612", str(1 << 70), "nan", "inf", "1e3", "٣", ""]
)
NAMES = (
    "MemFree",
    "MemAvailable",
    "Buffers",
    "Cached",
    "SwapCached",
    "AnonPages",
    "Shmem",
    "SUnreclaim",
    "VmallocUsed",
    "KernelStack",
    "Mlocked",
)


@pytest.mark.fault(141)
@given(st.fixed_dictionaries(dict.fromkeys(NAMES, NUMBERS)), st.one_of(st.none(), st.integers(0, 1 << 80)))
def test_a_hostile_meminfo_is_unavailable_or_its_sizes_can_be(texts: dict[str, str], sockets: int | None) -> None:
    """Each area is within MemTotal as far as the ledger is consistent; sizes that overlap areas, and what is available, always are."""
    text = "MemTotal: 1000 kB\n" + "".join(f"{name}: {number} kB\n" for name, number in texts.items())
    try:
        fields = parse_meminfo(text)
    except Unavailable:
        return
    found = ledger(fields, ExtraCounters(SocketMemory(tcp=sockets)))
    assert sum(found.areas.values()) + found.excess == found.total == 1000 << 10
    assert all(0 <= size <= found.total - found.excess for size in found.areas.values())
    assert all(0 <= size <= found.total for size in found.of_which.values())
    assert 0 <= found.available <= found.total


@pytest.mark.fault(36)
def test_the_order_of_lines_does_not_matter() -> None:
    text = (FIXTURES / "vm-6.18/proc/meminfo").read_text()
    lines = text.splitlines()
    random.Random(1).shuffle(lines)  # noqa: S311 — an order, not a secret
    assert parse_meminfo("\n".join(lines)) == parse_meminfo(text)


@pytest.mark.parametrize("text", ["", "MemTotal: 0 kB\nMemFree: 0 kB\n", "MemFree: 5 kB\n", "\0\0\0", "MemTotal: x kB"])
def test_a_meminfo_without_its_totals_is_unavailable(text: str) -> None:
    with pytest.raises(Unavailable):
        parse_meminfo(text)
