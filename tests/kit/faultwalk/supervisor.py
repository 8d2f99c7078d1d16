"""Supervisor of one run: counts the system calls by class, or makes chosen ones fail.

The class of a call is its name, the thread that makes it, and the object it is about: a path, or what a descriptor refers to, with numbers
replaced. A failure is named by class and occurrence, so that it meets the same call in each run although threads take turns.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import socket
import threading
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.kit.faultwalk import seccomp
from tests.kit.faultwalk.errnos import NAMES

_MAX_PATH = 256
_AT_EMPTY_PATH = 0x1000
_PATHS = {"readlink": 0, "rename": 0, "unlink": 0, "mkdir": 0, "chmod": 0, "execve": 0, "statfs": 0}
_AT_PATHS = {"openat": 1, "newfstatat": 1, "statx": 1, "renameat": 1, "unlinkat": 1}
_FLAGS = {"fcntl": 1, "ioctl": 1, "epoll_ctl": 1, "prctl": 0, "socket": 0}  # argument that tells kinds of this call apart
_DESCRIPTORS = frozenset(
    (
        "read",
        "pread64",
        "write",
        "writev",
        "fstat",
        "lseek",
        "getdents64",
        "fsync",
        "fdatasync",
        "ftruncate",
        "close",
        "flock",
        "fcntl",
        "ioctl",
        "dup",
        "dup2",
        "dup3",
        "epoll_ctl",
        "epoll_wait",
        "bind",
        "listen",
        "accept4",
        "connect",
        "setsockopt",
        "getsockopt",
        "getsockname",
        "getpeername",
        "sendto",
        "sendmsg",
        "recvfrom",
        "recvmsg",
        "shutdown",
        "fstatfs",
    )
)


class Call(NamedTuple):
    """Class of system calls."""

    name: str
    thread: str
    about: str


class Failure(NamedTuple):
    """The `occurrence`-th call (from 1) of a class that fails with `error`."""

    call: Call
    occurrence: int
    error: int

    def __str__(self) -> str:
        return f"{self.call.name}({self.call.about}) in {self.call.thread} #{self.occurrence} = {errno.errorcode[self.error]}"


class Supervisor:
    """Thread that answers the calls of one process tree until `stop()`."""

    def __init__(self, pid: int, folder: str, failures: tuple[Failure, ...] = (), patience: float = 10.0) -> None:
        """Use the listener of `pid`, which appears when the process has installed its filter. Raises TimeoutError."""
        self.counts: Counter[Call] = Counter()
        self.injected: list[Failure] = []
        self.error: BaseException | None = None
        self._folder = folder
        self._pid = pid
        self._comm = Path(f"/proc/{pid}/comm").read_text().strip()
        self._failures = {(failure.call, failure.occurrence): failure for failure in failures}
        self._fd = _listener(pid, patience)
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the listener: a call that is still made then fails with ENOSYS."""
        os.write(self._waker, b"x")
        self._thread.join()
        for fd in (self._fd, self._wake, self._waker):
            os.close(fd)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            events = dict(poll.poll())
            if self._wake in events or events.get(self._fd, 0) & select.POLLHUP:
                return
            try:
                self._one()
            except OSError as error:
                if error.errno not in {errno.ENOENT, errno.EINTR}:
                    self.error = error
                    return

    def _one(self) -> None:
        call, tid, number, arguments = seccomp.receive(self._fd)
        error = 0
        failure = None
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            seen = self._classify(tid, NAMES[number], arguments)
            self.counts[seen] += 1
            failure = self._failures.pop((seen, self.counts[seen]), None)
            error = failure.error if failure else 0
        if seccomp.answer(self._fd, call, error) and failure:
            self.injected.append(failure)

    def _classify(self, tid: int, name: str, arguments: tuple[int, ...]) -> Call:
        thread = Path(f"/proc/{tid}/comm").read_text().strip()
        if not Path(f"/proc/{self._pid}/task/{tid}").exists():
            thread = f"child {thread}"
        elif thread == self._comm:
            thread = "main" if tid == self._pid else "unnamed thread"
        about = self._plain_path(self._object(tid, name, arguments))
        if thread.startswith("child ") and (
            match := re.search(r"/lib/python.*?(\.\w+)?$", about)
        ):  # an import: the helper has no answer then
            about = f"/lib/python/*{match[1] or ''}"
        return Call(name, _plain(thread), about)

    def _object(self, tid: int, name: str, arguments: tuple[int, ...]) -> str:
        about = ""
        if (at := _AT_PATHS.get(name)) is not None:
            about = _string(tid, arguments[at])
            if not about:
                about = f"fd {_descriptor(tid, arguments[0])}"
        elif (at := _PATHS.get(name)) is not None:
            about = _string(tid, arguments[at])
        elif name in _DESCRIPTORS:
            about = _descriptor(tid, arguments[0])
        elif name == "mmap":
            fd = arguments[4] & 0xFFFFFFFF
            about = _descriptor(tid, fd) if fd != 0xFFFFFFFF else f"anonymous 2^{arguments[1].bit_length()}"
        elif name == "clone":
            about = "thread" if arguments[0] & 0x10000 else "process"  # CLONE_THREAD
        if (at := _FLAGS.get(name)) is not None:
            about = f"{about} {arguments[at]:#x}".replace("0x", "x")
        return about

    def _plain_path(self, about: str) -> str:
        return _plain(about.replace(self._folder, "FOLDER").replace(str(self._pid), "PID"))


def _plain(text: str) -> str:
    """Replace numbers, and the names of files that are read in the same way: modules of a package, signature packs."""
    text = re.sub(r"[^/]+\.(pyc|toml)$", r"*.\1", text) if "/signatures/" in text or "/__pycache__/" in text else text
    return re.sub(r"(?<![x^\d])\d+|(?<=:\[)\d+", "N", text)


def _listener(pid: int, patience: float) -> int:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(entry.readlink()) == "anon_inode:seccomp notify":
                    return seccomp.listener(pid, int(entry.name))
        time.sleep(0.001)
    msg = f"process {pid} has installed no filter"
    raise TimeoutError(msg)


def _string(tid: int, address: int) -> str:
    if not address:
        return ""
    fd = os.open(f"/proc/{tid}/mem", os.O_RDONLY)
    try:
        data = b""
        while len(data) < _MAX_PATH and b"\0" not in data:  # not beyond the page, which may be the last one
            data += os.pread(fd, min(_MAX_PATH, 4096 - (address + len(data)) % 4096), address + len(data))
    finally:
        os.close(fd)
    return os.fsdecode(data.partition(b"\0")[0])


def _descriptor(tid: int, fd: int) -> str:
    try:
        target = str(Path(f"/proc/{tid}/fd/{fd & 0xFFFFFFFF}").readlink())
    except OSError:
        return "none"
    return _socket_kind(tid, fd) if target.startswith("socket:") else target


def _socket_kind(tid: int, fd: int) -> str:
    """Return family and type of a socket of another process."""
    try:
        tgid = int(re.search(r"^Tgid:\s*(\d+)", Path(f"/proc/{tid}/status").read_text(), re.MULTILINE)[1])  # type: ignore[index]
        with socket.socket(fileno=seccomp.listener(tgid, fd)) as copy:
            listening = copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            return f"socket {copy.family.name[3:]} {copy.type.name[5:]}{' listening' if listening else ''}"
    except (OSError, AttributeError):
        return "socket"
