"""Helper of the holder scan: a short-lived program at the lowest priority that prints its answer as JSON.

`python -Im collectors.memory.holders.helper [/proc [hurry]]`; `hurry` where a person waits.

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
from collectors.memory.procfs.net import read_sockstat

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


def scan(proc: Path, seconds: float = WALL_SECONDS) -> dict[str, Any]:
    """Return the largest holders by kind of memory. Bounded in sockets, processes, files and seconds; `truncated` lists reached bounds."""
    started, cpu = time.monotonic(), time.thread_time()  # of this thread, whatever else its program does meanwhile
    found, truncated = [], []
    host = read_sockstat(proc, os.sysconf("SC_PAGE_SIZE"))
    counted = (host.tcp or 0) + (host.udp or 0)
    with contextlib.suppress(OSError):  # no NETLINK_SOCK_DIAG in this kernel, or a seccomp filter forbids it
        found = list(diag.sockets(SOCKETS))
    if len(found) >= SOCKETS:
        truncated.append(f"sockets after {SOCKETS}")
    wanted = {s.inode for s in found if s.memory} | {int(s.peer[6:]) for s in found if s.memory and s.peer.startswith("inode:")}
    walk = owners.walk(proc, wanted, PROCESSES, lambda: time.thread_time() - cpu > CPU_SECONDS or time.monotonic() - started > seconds)
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
        "truncated": truncated,
        "cpu_seconds": round(time.thread_time() - cpu, 3),
    }


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
    proc, hurry = Path(sys.argv[1] if len(sys.argv) > 1 else "/proc"), "hurry" in sys.argv[2:]
    if not hurry:
        _lower_priority()
    json.dump(scan(proc, HURRY_SECONDS if hurry else WALL_SECONDS), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
