"""One leak, kept until stdin is closed: `python leaker.py KIND MEGABYTES [PATH]`. Prints `ready` when it is complete.

A line with a number on stdin leaks so many megabytes more, and prints `ready` again.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import select
import socket
import sys
import tempfile
import threading
from pathlib import Path

KEPT: list[object] = []
WATCHED: list[int] = []
CHUNK = b"x" * (1 << 16)


def fill(writer: socket.socket) -> int:
    """Write until both ends' buffers are full; return the bytes written."""
    writer.setblocking(False)  # noqa: FBT003
    done = 0
    try:
        while True:
            done += writer.send(CHUNK)
    except BlockingIOError:
        return done


def tcp(megabytes: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    KEPT.append(listener)
    done = 0
    while done < megabytes << 20:
        writer = socket.create_connection(listener.getsockname())
        reader, _ = listener.accept()  # and never reads
        KEPT.extend((writer, reader))
        done += fill(writer)


def unix(megabytes: int) -> None:
    done = 0
    while done < megabytes << 20:
        one, other = socket.socketpair()
        KEPT.extend((one, other))
        done += fill(one)


def sockets(number: int) -> None:
    """Open a number of sockets (not megabytes), each with a byte that is not read."""
    for _ in range(number // 2):
        one, other = socket.socketpair()
        one.send(b"x")
        other.send(b"x")
        KEPT.extend((one, other))


def pipes(megabytes: int) -> None:
    for _ in range(megabytes * 16):  # 64 KiB each
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        os.write(writer, CHUNK)
        KEPT.append((reader, writer))


def slab(megabytes: int) -> None:
    WATCHED.extend(os.eventfd(0) for _ in range(300 - len(WATCHED)))
    for _ in range(megabytes * 20):  # each watch takes an epitem and a wait queue entry, 200 bytes together
        poll = select.epoll()
        for fd in WATCHED:
            poll.register(fd)
        KEPT.append(poll)


def inotify(megabytes: int) -> None:
    """Watch one folder many times, and read no event: each takes 512 bytes, 16,384 at most an instance."""
    libc = ctypes.CDLL(None, use_errno=True)
    with tempfile.TemporaryDirectory(prefix="vitald-leaker-", dir="/dev/shm") as folder:
        instances = [libc.inotify_init1(0) for _ in range(60)]
        assert all(libc.inotify_add_watch(one, folder.encode(), 0x100 | 0x200) > 0 for one in instances)  # IN_CREATE, IN_DELETE
        name = f"{folder}/{'x' * 240}"
        for i in range((megabytes << 20) // 512 // len(instances) // 2):
            os.close(os.open(f"{name}{i}", os.O_CREAT | os.O_WRONLY))
            Path(f"{name}{i}").unlink()


def netns(megabytes: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(megabytes * 7):  # each takes 150 kB
        assert libc.unshare(0x40000000) == 0  # CLONE_NEWNET
        KEPT.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))


def page_tables(megabytes: int) -> None:
    count = megabytes * 256  # each page of a page table maps 2 MiB, and one byte of them is enough
    area = mmap.mmap(-1, count << 21, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=mmap.PROT_READ)  # MAP_NORESERVE
    area.madvise(15)  # MADV_NOHUGEPAGE
    for i in range(count):
        assert area[i << 21] == 0
    KEPT.append(area)


def stacks(megabytes: int) -> None:
    threading.stack_size(65536)
    for _ in range(megabytes * 64):  # 16 KiB each
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def tmpfs(megabytes: int) -> None:
    fd = os.memfd_create("leaker")
    for _ in range(megabytes):
        os.write(fd, CHUNK * 16)


def own(megabytes: int) -> None:
    KEPT.append(bytearray(b"x") * (megabytes << 20))


def page_cache(megabytes: int) -> None:
    path = Path(sys.argv[3])
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(CHUNK * 16)


def dentries(megabytes: int) -> None:
    for i in range(megabytes * 5000):
        os.access(f"{sys.argv[3]}/nothing-{i}", os.F_OK)


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kinds = (tcp, unix, sockets, pipes, slab, inotify, netns, page_tables, stacks, tmpfs, own, page_cache, dentries)
    kind = {f.__name__: f for f in kinds}[sys.argv[1]]
    kind(int(sys.argv[2]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        kind(int(line))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
    os._exit(0)  # frees all at once; joining 3,000 threads would not
