"""Disks that freeze on command: every access to them hangs until they are thawed.

`FrozenFolder` is a directory behind a FUSE server (bindfs) that is stopped by SIGSTOP: made in milliseconds; what hangs in it ends with its
process. `FrozenVolume` is a block device whose requests the pause filter of nbdkit holds, with an ext4 file system: what hangs in it
is in state D, and neither a signal nor the end of its process ends it before the device is thawed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

NEEDED = ("bindfs", "fusermount3")  # Debian: bindfs fuse3
NEEDED_VOLUME = ("nbdkit", "nbdfuse", "losetup", "mkfs.ext4")  # Debian: nbdkit libnbd-bin mount e2fsprogs
PATIENCE = 20.0


def missing(programs: tuple[str, ...] = NEEDED) -> str:
    """Return why these disks cannot be made here; empty where they can."""
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    return "" if os.geteuid() == 0 and Path("/dev/fuse").exists() else "needs root and /dev/fuse"


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


class FrozenFolder:
    """A directory at `path` that shows `backing`, which is never frozen itself: it shows what has reached the disk."""

    def __init__(self, path: Path, backing: Path) -> None:
        self.path, self.backing = path, backing
        path.mkdir(parents=True, exist_ok=True)
        backing.mkdir(parents=True, exist_ok=True)
        # Without caches in the kernel, so that each open(2) and stat(2) asks the server.
        options = "attr_timeout=0,entry_timeout=0,negative_timeout=0,allow_other,default_permissions"
        self._server = subprocess.Popen(["bindfs", "-f", "-o", options, str(backing), str(path)])
        _wait_until(path.is_mount, f"{path} was not mounted")

    def freeze(self) -> None:
        """Suspend every access from now on."""
        self._server.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self._server.pid}/stat")
        _wait_until(lambda: stat.read_text().rpartition(") ")[2].startswith("T"), "the server did not stop")

    def thaw(self) -> None:
        """Resume what hangs."""
        self._server.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        subprocess.run(["fusermount3", "-u", "-z", str(self.path)], check=False, stderr=subprocess.DEVNULL)
        try:
            self._server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()


class FrozenVolume:
    """An ext4 file system at `path` on a block device of its own; `folder` holds its sockets."""

    def __init__(self, path: Path, folder: Path, size: str = "64M") -> None:
        self.path = path
        self._control = folder / "pause"
        path.mkdir(parents=True, exist_ok=True)
        nbd, file = folder / "nbd", folder / "device"
        file.touch()
        command = ["nbdkit", "-f", "-U", str(nbd), "--filter=pause", "memory", size, f"pause-control={self._control}"]
        with contextlib.ExitStack() as stack:
            self._start(stack, command, nbd.exists)
            command = ["nbdfuse", str(file), "--unix", str(nbd)]
            self._start(stack, command, lambda: file.stat().st_size > 0)
            stack.callback(subprocess.run, ["fusermount3", "-u", "-z", str(file)], check=False)
            command = ["losetup", "--direct-io=on", "-f", "--show", str(file)]
            self.device = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            stack.callback(subprocess.run, ["losetup", "-d", self.device], check=False)
            subprocess.run(["mkfs.ext4", "-q", self.device], check=True)
            subprocess.run(["mount", "-t", "ext4", "-o", "noatime", self.device, str(path)], check=True)
            stack.callback(subprocess.run, ["umount", "-l", str(path)], check=False)
            stack.callback(self.thaw)
            self._stack = stack.pop_all()

    @staticmethod
    def _start(stack: contextlib.ExitStack, command: list[str], is_up: Callable[[], bool]) -> None:
        process = subprocess.Popen(command)
        stack.callback(process.wait, PATIENCE)
        stack.callback(process.terminate)
        _wait_until(is_up, f"{command[0]} did not start")

    def freeze(self) -> None:
        """Suspend every request of the device from now on."""
        self._say(b"p")

    def thaw(self) -> None:
        """Resume what hangs."""
        self._say(b"r")

    def _say(self, word: bytes) -> None:
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE)
            control.connect(str(self._control))
            control.sendall(word)
            assert control.recv(1) == word.upper()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, traceback)
