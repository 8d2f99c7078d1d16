"""The files beside meminfo: each read by itself, and none upset by noise."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from collectors.memory.procfs import balloon, cgroup, hugepages, meminfo, modules, protocols, slabinfo, sockstat, vmstat, zfs
from collectors.memory.procfs.sockstat import Sockets
from collectors.model import Unavailable
from tests.collectors.memory.hosts import FIXTURES

MIB = 1 << 20


@pytest.mark.fault(55)
def test_no_parser_falls_over_noise() -> None:
    dice = random.Random(6)  # noqa: S311
    texts = [(FIXTURES / "vm-6.18/proc" / name).read_text() for name in ("meminfo", "vmstat", "net/sockstat", "net/protocols", "slabinfo")]
    texts.append((FIXTURES / "zfs/proc/spl/kstat/zfs/arcstats").read_text())
    for _ in range(300):
        text = list(dice.choice(texts))
        for _ in range(dice.randrange(1, 40)):
            text[dice.randrange(len(text))] = chr(dice.choice((0, 10, 32, 45, 48, 57, 58, 0xD800, 0x661, dice.randrange(0x3000))))
        noise = "".join(text)[dice.randrange(2000) :]
        for parse in (
            vmstat.parse, lambda t: sockstat.parse(t, t, 4096), lambda t: protocols.parse(t, 4096), lambda t: slabinfo.parse(t, 4096),
            lambda t: zfs.parse(t, t), cgroup.unit_of, modules.parse, meminfo.is_a_containers,
        ):  # fmt: skip
            parse(noise)
        try:
            meminfo.parse(noise)
        except Unavailable:
            continue


def test_socket_memory_is_pages_and_fragments_are_bytes() -> None:
    text = "TCP: inuse 4 orphan 2 tw 4 alloc 17 mem 3\nUDP: inuse 1 mem 5\nFRAG: inuse 1 memory 700\n"
    assert sockstat.parse(text, "FRAG6: inuse 1 memory 41\n", 4096) == Sockets(12288, 20480, 741)
    assert sockstat.parse("", "", 4096) == Sockets()


def test_protocols_that_share_a_counter_are_counted_once() -> None:
    found = protocols.read(FIXTURES / "rhcos-4.18/proc", 4096)
    assert found["TCP"].memory == 7 * 4096
    assert found["TCP"].sockets == 28
    assert "TCPv6" not in found
    assert "UNIX" not in found, "its memory is -1: not counted"


def test_caches_that_the_kernel_shrinks_are_none_of_those_it_cannot_give_back(tmp_path: Path) -> None:
    proc = FIXTURES / "vm-6.18/proc"
    everything = slabinfo.parse((proc / "slabinfo").read_text(), 4096)
    largest = max(everything, key=lambda name: everything[name])
    assert set(slabinfo.unreclaimable(proc, tmp_path, 4096)) == set(everything)  # nobody says which: all stay
    for name, said in ((largest, "1\n"), ("kmalloc-64", "0\n")):
        (tmp_path / "kernel/slab" / name).mkdir(parents=True)
        (tmp_path / "kernel/slab" / name / "reclaim_account").write_text(said)
    assert set(everything) - set(slabinfo.unreclaimable(proc, tmp_path, 4096)) == {largest}


@pytest.mark.root
def test_this_machines_directory_cache_is_none_of_them_either() -> None:
    found = slabinfo.unreclaimable(Path("/proc"), Path("/sys"), 4096)
    assert "dentry" not in found
    assert "task_struct" in found


def test_slab_caches_are_slabs_times_pages() -> None:
    found = slabinfo.parse((FIXTURES / "vm-6.18/proc/slabinfo").read_text(), 4096)
    slab = meminfo.read(FIXTURES / "vm-6.18/proc")["Slab"]
    assert 0.9 * slab < sum(found.values()) < 1.1 * slab
    assert found["dentry"] > MIB


def test_a_balloon_counts_what_went_in_less_what_came_out() -> None:
    assert balloon.inside({"balloon_inflate": 10, "balloon_deflate": 4}, 4096) == 6 * 4096
    assert balloon.inside({"nr_balloon_pages": 2, "balloon_inflate": 10}, 4096) == 2 * 4096
    assert balloon.inside({}, 4096) == 0


@pytest.mark.parametrize(("features", "stays"), [("0110010100", True), ("0100010100", False), ("", False)])
def test_a_virtio_balloon_with_deflate_on_oom_stays_in_memtotal(tmp_path, features: str, stays: bool) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, FBT001
    device = tmp_path / "bus/virtio/devices/virtio0"
    device.mkdir(parents=True)
    (device / "device").write_text("0x0005\n")
    (device / "features").write_text(features + "\n")
    assert balloon.stays_in_total(tmp_path) is stays


def test_huge_pages_of_every_size_are_found_in_sys(tmp_path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    for size, number in ((2048, 3), (1048576, 2)):
        pool = tmp_path / f"kernel/mm/hugepages/hugepages-{size}kB"
        pool.mkdir(parents=True)
        (pool / "nr_hugepages").write_text(f"{number}\n")
    assert hugepages.reserved({"HugePages_Total": 3, "Hugepagesize": 2 * MIB}, tmp_path) == 6 * MIB + (2 << 30)


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/logstash.service\n", "logstash.service"),
        ("9:name=systemd:/system.slice/cron.service\n4:memory:/x\n0::/\n", "cron.service"),
        ("4:cpu,memory:/docker/abc\n9:name=systemd:/\n0::/\n", "docker/abc"),
        ("0::/user.slice/user-1000.slice/session-4.scope\n", "session-4.scope"),
        ("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-ab.scope\n", "cri-containerd-ab.scope"),
        ("0::/\n", ""),
        ("", ""),
    ],
)
def test_the_unit_of_a_process_is_found_in_every_cgroup_version(text: str, unit: str) -> None:
    assert cgroup.unit_of(text) == unit


@pytest.mark.fault(37)
def test_dying_cgroups_are_counted_on_v2_and_unknown_on_v1(tmp_path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    assert cgroup.dying(tmp_path) is None
    (tmp_path / "fs/cgroup/unified").mkdir(parents=True)
    (tmp_path / "fs/cgroup/unified/cgroup.stat").write_text("nr_descendants 4\nnr_dying_descendants 812\n")
    assert cgroup.dying(tmp_path) == 812
    (tmp_path / "fs/cgroup/cgroup.stat").write_text("nr_dying_descendants 7\n")
    assert cgroup.dying(tmp_path) == 7
