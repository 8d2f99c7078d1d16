"""The files beside meminfo: each parsed by itself, and no parser fails on noise."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from collectors.memory.holders import helper
from collectors.memory.procfs import cgroup, meminfo, net, reserved, slabinfo, small_files, vmstat, zfs
from collectors.memory.procfs.net import SocketMemory
from collectors.model import Unavailable
from tests.collectors.memory.hosts import FIXTURES

MIB = 1 << 20


@pytest.mark.fault(55)
def test_no_parser_fails_on_noise() -> None:
    dice = random.Random(6)  # noqa: S311
    texts = [(FIXTURES / "vm-6.18/proc" / name).read_text() for name in ("meminfo", "vmstat", "net/sockstat", "net/protocols", "slabinfo")]
    texts.append((FIXTURES / "zfs/proc/spl/kstat/zfs/arcstats").read_text())
    for _ in range(300):
        text = list(dice.choice(texts))
        for _ in range(dice.randrange(1, 40)):
            text[dice.randrange(len(text))] = chr(dice.choice((0, 10, 32, 45, 48, 57, 58, 0xD800, 0x661, dice.randrange(0x3000))))
        noise = "".join(text)[dice.randrange(2000) :]
        for parse in (
            vmstat.parse_vmstat, lambda t: net.parse_sockstat(t, t, 4096), net.parse_pressed_protocols,
            lambda t: slabinfo.parse_slabinfo(t, 4096),
            lambda t: zfs.parse_arc(t, t), cgroup.unit_of, small_files.parse_modules, helper.hidepid,
            lambda t: meminfo._file_system_at(t, "/proc/meminfo"),
        ):  # fmt: skip
            parse(noise)
        try:
            meminfo.parse_meminfo(noise)
        except Unavailable:
            continue


def test_socket_memory_is_pages_and_fragments_are_bytes() -> None:
    text = "TCP: inuse 4 orphan 2 tw 4 alloc 17 mem 3\nUDP: inuse 1 mem 5\nFRAG: inuse 1 memory 700\n"
    assert net.parse_sockstat(text, "FRAG6: inuse 1 memory 41\n", 4096) == SocketMemory(12288, 20480, 741)
    assert net.parse_sockstat("", "", 4096) == SocketMemory()


def test_protocols_that_share_a_counter_are_one_under_pressure() -> None:
    text = (FIXTURES / "rhcos-4.18/proc/net/protocols").read_text()
    assert net.parse_pressed_protocols(text) == ()
    pressed = "\n".join(line.replace("   NI ", "  yes ").replace("   no ", "  yes ") for line in text.splitlines())
    assert net.parse_pressed_protocols(pressed) == ("ALG", "TCP", "UDP"), "TCPv6 is TCP; a memory of -1 is not counted (UNIX)"


def test_caches_that_the_kernel_can_shrink_are_left_out(tmp_path: Path) -> None:
    proc = FIXTURES / "vm-6.18/proc"
    everything = slabinfo.parse_slabinfo((proc / "slabinfo").read_text(), 4096)
    largest = max(everything, key=lambda name: everything[name])
    assert set(slabinfo.read_unreclaimable(proc, tmp_path, 4096)) == set(everything)  # without reclaim_account all are kept
    for name, content in ((largest, "1\n"), ("kmalloc-64", "0\n")):
        (tmp_path / "kernel/slab" / name).mkdir(parents=True)
        (tmp_path / "kernel/slab" / name / "reclaim_account").write_text(content)
    assert set(everything) - set(slabinfo.read_unreclaimable(proc, tmp_path, 4096)) == {largest}


@pytest.mark.root
def test_the_directory_cache_of_this_machine_is_left_out() -> None:
    found = slabinfo.read_unreclaimable(Path("/proc"), Path("/sys"), 4096)
    assert "dentry" not in found
    assert "task_struct" in found


def test_slab_caches_are_slabs_times_pages() -> None:
    found = slabinfo.parse_slabinfo((FIXTURES / "vm-6.18/proc/slabinfo").read_text(), 4096)
    slab = meminfo.read_meminfo(FIXTURES / "vm-6.18/proc")["Slab"]
    assert 0.9 * slab < sum(found.values()) < 1.1 * slab
    assert found["dentry"] > MIB


def test_a_balloon_counts_what_went_in_less_what_came_out() -> None:
    assert reserved.balloon_bytes({"balloon_inflate": 10, "balloon_deflate": 4}, 4096) == 6 * 4096
    assert reserved.balloon_bytes({"nr_balloon_pages": 2, "balloon_inflate": 10}, 4096) == 2 * 4096
    assert reserved.balloon_bytes({}, 4096) == 0


@pytest.mark.parametrize(("features", "stays"), [("0110010100", True), ("0100010100", False), ("", False)])
def test_a_virtio_balloon_with_deflate_on_oom_stays_in_memtotal(tmp_path, features: str, stays: bool) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, FBT001
    device = tmp_path / "bus/virtio/devices/virtio0"
    device.mkdir(parents=True)
    (device / "device").write_text("0x0005\n")
    (device / "features").write_text(features + "\n")
    assert reserved.balloon_stays_in_total(tmp_path) is stays


def test_huge_pages_of_every_size_are_found_in_sys(tmp_path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    for size, number in ((2048, 3), (1048576, 2)):
        pool = tmp_path / f"kernel/mm/hugepages/hugepages-{size}kB"
        pool.mkdir(parents=True)
        (pool / "nr_hugepages").write_text(f"{number}\n")
    assert reserved.hugepage_bytes({"HugePages_Total": 3, "Hugepagesize": 2 * MIB}, tmp_path) == 6 * MIB + (2 << 30)


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
    assert cgroup.read_dying(tmp_path) is None
    (tmp_path / "fs/cgroup/unified").mkdir(parents=True)
    (tmp_path / "fs/cgroup/unified/cgroup.stat").write_text("nr_descendants 4\nnr_dying_descendants 812\n")
    assert cgroup.read_dying(tmp_path) == 812
    (tmp_path / "fs/cgroup/cgroup.stat").write_text("nr_dying_descendants 7\n")
    assert cgroup.read_dying(tmp_path) == 7
