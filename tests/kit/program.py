"""Programs under measurement: started, awaited, looked at through /proc, and stopped again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TICK = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A bench that could not be run; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in bytes: RSS counts shared pages whole, PSS its share of them."""

    rss: int
    pss: int


class Program:
    """One program and its children. Its output goes to a file that a failure quotes."""

    def __init__(self, name: str, argv: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        executable = shutil.which(argv[0], path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        if executable is None:
            msg = f"{argv[0]} is not installed; apt-get install {argv[0]}"
            raise BenchError(msg)
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [executable, *argv[1:]],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # a group of its own: start_new_session
            self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    @property
    def pid(self) -> int:
        """Of the program itself, for a profiler."""
        return self._process.pid

    def wait_for(self, port: int, host: str = "127.0.0.1", seconds: float = 30.0) -> Self:
        """Wait until it accepts connections."""
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            try:
                socket.create_connection((host, port), 1).close()
            except OSError:
                if time.monotonic() > deadline:
                    msg = f"{self.name} did not listen on port {port} within {seconds:g} s: {self.last_words()}"
                    raise BenchError(msg) from None
                time.sleep(0.05)
            else:
                return self

    def check(self) -> None:
        """Raise BenchError if it has ended by itself."""
        if self._process.poll() is not None:
            msg = f"{self.name} ended with status {self._process.returncode}: {self.last_words()}"
            raise BenchError(msg)

    def last_words(self) -> str:
        """Return the end of what it wrote."""
        return self._log.read_text(errors="replace")[-500:].strip() or "it wrote nothing"

    def cpu_seconds(self) -> float:
        """CPU time so far, user and system, of all threads and of all children, those that have ended included (proc_pid_stat(5))."""
        self.check()
        total = 0
        for pid in self._family():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:  # a child has ended since; its parent's cutime has it from now on
                continue
            total += sum(int(field) for field in fields[11:15])  # utime stime cutime cstime
        return total / _TICK

    def memory(self, *, children: bool = True) -> Memory:
        """Memory now, children included unless told otherwise (proc_pid_smaps_rollup(5))."""
        self.check()
        rss = pss = 0
        for pid in self._family() if children else [self._process.pid]:
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
            except OSError:
                continue
            sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
            rss, pss = rss + sizes["Rss"], pss + sizes["Pss"]
        return Memory(rss, pss)

    def _family(self) -> list[int]:
        found, queue = [], [self._process.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    queue += [int(child) for child in children.read_text().split()]
                except OSError:
                    continue
        return found


def free_port() -> int:
    """Return a TCP port of loopback that nobody holds now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
