"""Targets of the memory collector: files of /proc and /sys, and the answer of the holder scan."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

from collectors.memory.holders import helper, owners
from collectors.memory.holders.scan import HolderScan
from collectors.memory.ledger_reader import LedgerReader
from collectors.memory.procfs.cgroup import MOST_CGROUPS, read_dying, unit_of
from collectors.memory.procfs.meminfo import container_view, parse_meminfo
from collectors.memory.procfs.net import parse_pressed_protocols, parse_sockstat
from collectors.memory.procfs.processes import read_largest
from collectors.memory.procfs.slabinfo import parse_slabinfo, read_unreclaimable
from collectors.memory.procfs.small_files import LARGEST, parse_modules
from collectors.memory.procfs.vmstat import parse_vmstat, read_cpu_lists
from collectors.memory.procfs.zfs import parse_arc
from collectors.model import Unavailable
from tests.fuzz.target import PART, Target, divide, files, put, scratch, text

_FIXTURES = "collectors/memory/fixtures/"
_ROOM = "collectors.memory."
_PROCFS = _ROOM + "procfs."


def _ascii(data: bytes) -> str:
    return data.decode("ascii", "replace")


def _meminfo(data: bytes) -> None:
    assert all(0 <= value < LARGEST for value in parse_meminfo(_ascii(data)).values())


def _ledger(data: bytes) -> None:
    """All files of the ledger: the areas add up to MemTotal."""
    names = ("meminfo", "vmstat", "zoneinfo", "net/sockstat", "spl/kstat/zfs/arcstats", "self/mountinfo")
    for name, content in zip(names, divide(data, len(names)), strict=True):
        put(f"ledger/proc/{name}", content)
    found = LedgerReader(scratch() / "ledger/proc", scratch() / "ledger/sys", 4096).read()
    assert sum(found.areas.values()) == found.total


def _counters(data: bytes) -> None:
    vmstat, zoneinfo = divide(data, 2)
    assert all(value >= 0 for value in parse_vmstat(_ascii(vmstat)).values())
    put("counters/zoneinfo", zoneinfo)
    lists = read_cpu_lists(scratch() / "counters", 4096)
    assert lists is None or 0 <= lists < LARGEST


def _slabinfo(data: bytes) -> None:
    assert all(0 < size < LARGEST * 2 for size in parse_slabinfo(_ascii(data), 4096).values())
    put("slab/slabinfo", data)
    read_unreclaimable(scratch() / "slab", scratch() / "nowhere", 4096)


def _net(data: bytes) -> None:
    sockstat, sockstat6, protocols = map(_ascii, divide(data, 3))
    found = parse_sockstat(sockstat, sockstat6, 4096)
    assert found.tcp is None or 0 <= found.tcp < LARGEST
    parse_pressed_protocols(protocols)


def _cgroup(data: bytes) -> None:
    unit_of(text(data))
    put("cgroup/fs/cgroup/cgroup.stat", data)
    dying = read_dying(scratch() / "cgroup")
    assert dying is None or 0 <= dying <= MOST_CGROUPS


def _zfs(data: bytes) -> None:
    arc = parse_arc(*map(_ascii, divide(data, 2)))
    assert arc is None or (arc.size >= 0 and arc.shrinkable >= 0)


def _processes(data: bytes) -> None:
    statm, stat = divide(data, 2)
    put("processes/1/statm", statm)
    put("processes/1/stat", stat)
    for process in read_largest(scratch() / "processes", 4096, 5, 1 << 40):
        assert 0 < process.private <= 1 << 40


def _owners(data: bytes) -> None:
    """A recorded host's processes: /proc/PID/{stat,statm,status,cgroup} and /proc/stat, as psutil and vitald read them."""
    names = ("1/stat", "1/statm", "1/status", "1/cgroup", "stat")
    for name, content in zip(names, divide(data, len(names)), strict=True):
        put(f"owners/{name}", content)
    proc = scratch() / "owners"
    found = owners.walk(proc, frozenset(), 10, lambda: False, 1 << 40)
    assert all(process.private <= 1 << 40 for process in found.processes.values())
    owners.unit(proc, 1)
    assert 0 <= owners.start_time(proc, 1) < owners.LATEST


def _mountinfo(data: bytes) -> None:
    helper.hidepid(text(data))
    put("mounts/self/mountinfo", data)
    container_view(scratch() / "mounts")


def _modules(data: bytes) -> None:
    assert all(name for name in parse_modules(_ascii(data)) if name.strip())


def _holders(data: bytes) -> None:
    scan = HolderScan(scratch())
    scan._answer = io.BytesIO(data)
    process: Any = SimpleNamespace(wait=lambda _seconds: 0)
    scan._process = process
    found = scan.wait(1.0)
    assert found is not None or scan.error


def _fixtures(*names: str) -> list[bytes]:
    hosts = ("vm-6.18", "rhcos-4.18", "laptop-6.17", "swap-6.12-disk-in", "zfs", "lxcfs-5.0")
    return [data for host in hosts for name in names for data in _optional(f"{_FIXTURES}{host}/proc/{name}")]


def _optional(pattern: str) -> list[bytes]:
    try:
        return files(pattern)
    except AssertionError:  # not every host has every file
        return []


_STAT = b"1 (a b) c) S " + b" ".join(b"%d" % number for number in range(1, 50)) + b"\n"
_MOUNT = b"22 1 0:20 / /proc rw,nosuid shared:5 - proc proc rw,hidepid=invisible\n30 22 0:30 / /proc/meminfo rw - fuse.lxcfs lxcfs rw\n"
_ANSWER = json.dumps({"sockets": {"seen": 1, "bytes": 2, "counted": 3}, "holders": [{"pid": 1, "comm": "a", "unit": "", "bytes": 5, "unread": 0, "sockets": 1, "peer": ""}],
                      "own": [], "page_tables": [], "threads": [], "pipes": [], "files": [], "processes": 1, "hidden": 0, "hidepid": False, "truncated": [],
                      "cpu_seconds": 0.1}).encode()  # fmt: skip

TARGETS = (
    Target("memory.meminfo", (_PROCFS + "meminfo", _PROCFS + "small_files"), _meminfo, lambda: _fixtures("meminfo"), allowed=(Unavailable,)),
    Target("memory.ledger", (_ROOM + "ledger_reader", _ROOM + "ledger", _PROCFS + "swap", _PROCFS + "reserved"), _ledger, lambda: [
        *(PART.join((meminfo, vmstat, b" count: 5\n", sockstat)) for meminfo, vmstat, sockstat in zip(
            _fixtures("meminfo"), _fixtures("vmstat"), _fixtures("net/sockstat"), strict=False)),
    ], allowed=(Unavailable,), length=8192, words=(b"kB\n", b"MemTotal:", b"SwapCached:", b"nr_zspages ", b"Zswap:", b"Hugetlb:")),
    Target("memory.counters", (_PROCFS + "vmstat",), _counters, lambda: [vmstat + PART + b"  pagesets\n    cpu: 0\n              count: 12\n" for vmstat in _fixtures("vmstat")[:2]]),
    Target("memory.slabinfo", (_PROCFS + "slabinfo",), _slabinfo, lambda: _fixtures("slabinfo")[:2], allowed=(Unavailable,), words=(b" : tunables", b" : slabdata ")),
    Target("memory.net", (_PROCFS + "net",), _net, lambda: [PART.join((*_fixtures("net/sockstat")[:2], *_fixtures("net/protocols")[:1]))]),
    Target("memory.cgroup", (_PROCFS + "cgroup",), _cgroup, lambda: [
        b"0::/system.slice/a.service\n", b"12:memory,cpu:/docker/abc\n1:name=systemd:/\n", b"nr_descendants 5\nnr_dying_descendants 7\n",
    ]),
    Target("memory.zfs", (_PROCFS + "zfs",), _zfs, lambda: [PART.join(_optional(f"{_FIXTURES}zfs/proc/spl/kstat/zfs/a*stats")[::-1])]),
    Target("memory.processes", (_PROCFS + "processes",), _processes, lambda: [b"900 500 100 1 0 200 0\n" + PART + _STAT, b"a b c"], most=4096),
    Target("memory.owners", (_ROOM + "holders.owners",), _owners, lambda: [
        PART.join((_STAT, b"900 500 100 1 0 200 0\n", b"Name:\ta b\nState:\tS\nThreads:\t5\nVmPTE:\t 40 kB\nVmSwap:\t 5 kB\n", b"0::/a.service\n", b"btime 1790000000\n")),
    ], most=8192),
    Target("memory.mountinfo", (_ROOM + "holders.helper", _PROCFS + "meminfo"), _mountinfo, lambda: [_MOUNT, b"1 - - /\n"]),
    Target("memory.modules", (_PROCFS + "small_files",), _modules, lambda: [b"ena 151552 0 - Live 0x0000000000000000\nx 1 2 y, Live\n"]),
    Target("memory.holders", (_ROOM + "holders.scan",), _holders, lambda: [_ANSWER, b"[]", b"{"], most=1 << 20),
)  # fmt: skip
