"""Helper of the holder scan: a short-lived program at the lowest priority that prints its answer as JSON.

`python -Im collectors.memory.holders.helper [/proc [hurry] [recorded]]`: `hurry` where a person waits, `recorded` for the procfs of
another host.

A program of its own, because the tables of 50,000 sockets and 20,000 processes are tens of megabytes, which only the end of a process
frees; priority belongs to a process (SCHED_IDLE: it gets idle CPU time only); and if it hangs on a stuck /proc entry it is killed,
and the daemon never waits for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.memory.holders import owners
from collectors.memory.holders import socket_diag as diag
from collectors.memory.procfs.meminfo import read_meminfo
from collectors.memory.procfs.net import read_sockstat
from collectors.memory.procfs.small_files import LARGEST, text_or_none
from collectors.model import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

SOCKETS = 50_000
PROCESSES = 20_000
CPU_SECONDS = 5.0
WALL_SECONDS = 240.0  # the daemon's timeout, less the time to answer
HURRY_SECONDS = 12.0
TOP = 5
NOTABLE_FILES = 1000  # of one kind, by weight: the kernel memory of such a file, an ordinary one being 1
WEIGHT = {"anon_inode:inotify": 100, "network namespace": 100}


def scan(proc: Path, seconds: float = WALL_SECONDS, *, recorded: bool = False) -> dict[str, Any]:
    """Return the largest holders by kind of memory. Bounded in sockets, processes, files and seconds; `truncated` lists reached bounds.

    `recorded`: the procfs is that of another host, whose sockets cannot be asked for.
    """
    started, cpu = time.monotonic(), time.thread_time()  # of this thread, whatever else its program does meanwhile
    found, truncated = [], []
    host = read_sockstat(proc, os.sysconf("SC_PAGE_SIZE"))
    counted = (host.tcp or 0) + (host.udp or 0)
    if not recorded:
        with contextlib.suppress(OSError):  # no NETLINK_SOCK_DIAG in this kernel, or a seccomp filter forbids it
            found = list(diag.sockets(SOCKETS))
    if len(found) >= SOCKETS:
        truncated.append(f"sockets after {SOCKETS}")
    wanted = {s.inode for s in found if s.memory} | {int(s.peer[6:]) for s in found if s.memory and s.peer.startswith("inode:")}

    def is_over() -> bool:
        return time.thread_time() - cpu > CPU_SECONDS or time.monotonic() - started > seconds

    walk = owners.walk(proc, wanted, PROCESSES, is_over, _total(proc))
    if walk.truncated:
        truncated.append(f"processes after {len(walk.processes)}")
    return {
        "sockets": {"seen": len(found), "bytes": sum(s.memory for s in found), "counted": counted},
        "holders": _holders(proc, found, walk),
        "own": [{**row, **_private(proc, walk.processes[row["pid"]])} for row in _top(proc, walk, lambda p: p.private, 16 << 20)],
        "page_tables": _top(proc, walk, lambda p: p.page_tables, 1 << 20),
        "threads": _top(proc, walk, lambda p: p.threads, 100),
        "pipes": _top(proc, walk, lambda p: p.files["pipe"], 100),
        "files": _files(proc, walk),
        "processes": len(walk.processes),
        "hidden": walk.hidden,
        "hidepid": hidepid(text_or_none(f"{proc}/self/mountinfo") or ""),
        "truncated": truncated,
        "cpu_seconds": round(time.thread_time() - cpu, 3),
    }


def hidepid(mountinfo: str) -> bool:
    """Return whether /proc is mounted so that other users' processes are hidden (Documentation/filesystems/proc.rst, hidepid=)."""
    lines = (line.partition(" - ") for line in mountinfo.splitlines())
    options = (option for head, _, rest in lines if head.split(" ", 5)[4:5] == ["/proc"] for option in rest.rpartition(" ")[2].split(","))
    return any(name == "hidepid" and value not in {"0", "off"} for name, _, value in (option.partition("=") for option in options))


def _total(proc: Path) -> int:
    try:
        return read_meminfo(proc)["MemTotal"]
    except Unavailable:
        return LARGEST


def _holders(proc: Path, found: Iterable[diag.Socket], walk: owners.Walk) -> list[dict[str, Any]]:
    by_pid: defaultdict[int, list[diag.Socket]] = defaultdict(list)
    for sock in found:
        if sock.memory:
            by_pid[walk.owner.get(sock.inode, -1 if sock.inode else 0)].append(sock)
    most = sorted(by_pid, key=lambda pid: -sum(s.memory for s in by_pid[pid]))[:TOP]
    return [_holder(proc, pid, by_pid[pid], walk) for pid in most]


def _holder(proc: Path, pid: int, socks: list[diag.Socket], walk: owners.Walk) -> dict[str, Any]:
    peers: Counter[str] = Counter()
    for sock in socks:
        peers[sock.peer] += sock.memory
    peer = peers.most_common(1)[0][0]
    comm = walk.processes[pid].comm if pid > 0 else ("(process not readable)" if pid else "(no process: closed, not yet sent)")
    return {
        "pid": max(pid, 0),
        "comm": comm,
        "unit": owners.unit(proc, pid) if pid > 0 else "",
        "bytes": sum(s.memory for s in socks),
        "unread": sum(s.received for s in socks),
        "sockets": len(socks),
        "peer": _other_end(socks, walk) if peer.startswith("inode:") else peer,
    }


def _other_end(socks: list[diag.Socket], walk: owners.Walk) -> str:
    ends: Counter[int] = Counter()
    for sock in socks:
        if sock.peer.startswith("inode:"):
            ends[walk.owner.get(int(sock.peer[6:]), 0)] += sock.memory
    pid = ends.most_common(1)[0][0]
    return f"{walk.processes[pid].comm} pid {pid}" if pid in walk.processes else "(process not readable)"


def _top(proc: Path, walk: owners.Walk, size: Any, least: int) -> list[dict[str, Any]]:  # noqa: ANN401 — Process to int
    most = sorted((p for p in walk.processes.values() if size(p) >= least), key=size, reverse=True)[:TOP]
    return [{"pid": p.pid, "comm": p.comm, "unit": owners.unit(proc, p.pid), "size": size(p)} for p in most]


def _private(proc: Path, process: owners.Process) -> dict[str, Any]:
    return {"swapped": process.swapped, "began": round(owners.start_time(proc, process.pid))}


def _files(proc: Path, walk: owners.Walk) -> list[dict[str, Any]]:
    rows = [(number * WEIGHT.get(kind, 1), kind, p) for p in walk.processes.values() for kind, number in p.files.items()]
    rows = sorted((row for row in rows if row[0] >= NOTABLE_FILES), key=lambda row: (-row[0], row[1], row[2].pid))[:TOP]
    return [{"pid": p.pid, "comm": p.comm, "unit": owners.unit(proc, p.pid), "kind": kind, "size": p.files[kind]} for _, kind, p in rows]


def _lower_priority() -> None:
    """Set the lowest priority, as far as it is permitted."""
    with contextlib.suppress(OSError):
        os.nice(19)
    with contextlib.suppress(OSError):  # not for real-time policies: also where RestrictRealtime= holds
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def main() -> int:
    """Scan and print."""
    proc, hurry, recorded = Path(sys.argv[1] if len(sys.argv) > 1 else "/proc"), "hurry" in sys.argv[2:], "recorded" in sys.argv[2:]
    if not hurry:
        _lower_priority()
    json.dump(scan(proc, HURRY_SECONDS if hurry else WALL_SECONDS, recorded=recorded), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
