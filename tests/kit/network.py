"""Network namespaces, joined by one thread each: what that thread opens or starts lives in there.

A namespace made here has no name and no file: it is gone with the last thread, process or socket in it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_LIBC = ctypes.CDLL(None, use_errno=True)


class Network:
    """One network namespace: that of a process, or a new one."""

    def __init__(self, pid: int | None = None) -> None:
        self.tid = 0
        self._thread = ThreadPoolExecutor(1, initializer=self._join, initargs=(pid,))
        self.call(lambda: None)

    def _join(self, pid: int | None) -> None:
        if pid is None:
            done = _LIBC.unshare(_CLONE_NEWNET)
        else:
            with Path(f"/proc/{pid}/ns/net").open() as namespace:
                done = _LIBC.setns(namespace.fileno(), _CLONE_NEWNET)
        if done != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.tid = threading.get_native_id()

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in there; sockets it opens stay there."""
        return self._thread.submit(function, *args, **kwargs).result()

    def run(self, *command: str, text: str = "") -> str:
        """Run a program in there; what it printed."""
        done = self.call(subprocess.run, command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return str(done.stdout)

    def start(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a program in there that does not outlive us."""
        bound = ["setpriv", "--pdeathsig=KILL", *command]
        return self.call(lambda: subprocess.Popen(bound, stdin=subprocess.DEVNULL, **options))

    def wire(self, other: Network, ours: str, theirs: str) -> None:
        """Create a veth pair to another namespace, with an address (`10.0.0.1/24`) at each end."""
        self.run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", str(other.tid))
        for network, address in ((self, ours), (other, theirs)):
            network.run("ip", "link", "set", "lo", "up")
            network.run("ip", "addr", "add", address, "dev", "wire")
            network.run("ip", "link", "set", "wire", "up")

    def get(self, url: str, seconds: float = 10) -> str:
        """Fetch a page from in there."""
        return self.call(_fetch, url, seconds)

    def close(self) -> None:
        """Leave the namespace."""
        self._thread.shutdown()


def _fetch(url: str, seconds: float) -> str:
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        return str(answer.read().decode())
