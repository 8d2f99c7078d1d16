"""Stops one thread of a running program, and only that one, as a lock that is never released would."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from pathlib import Path

_SEIZE, _INTERRUPT = 0x4206, 0x4207  # linux/ptrace.h
_WALL = 0x40000000  # wait(2): threads, too
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long


def thread_named(pid: int, name: str) -> int:
    """Return the id of a process' thread by its name (`/proc/PID/task/TID/comm`)."""
    names = {int(task.name): (task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()}
    found = [tid for tid, other in names.items() if other == name]
    assert found, f"no thread is called {name}, there are {sorted(names.values())}"
    return found[0]


class Frozen:
    """Holds one thread from now until its process ends; `wait()` waits for that."""

    def __init__(self, tid: int) -> None:
        self._tid = tid
        self._held = threading.Event()
        self._error: OSError | None = None
        # Tracing belongs to a thread: the one that stops it must be the one that waits for its end.
        self._tracer = threading.Thread(target=self._trace, daemon=True)
        self._tracer.start()
        self._held.wait()
        if self._error:
            raise self._error

    def _trace(self) -> None:
        try:
            _ptrace(_SEIZE, self._tid)
            _ptrace(_INTERRUPT, self._tid)
            os.waitpid(self._tid, _WALL)
        except OSError as error:
            self._error = error
        finally:
            self._held.set()
        with contextlib.suppress(ChildProcessError):
            status = 0x7F  # stopped
            while os.WIFSTOPPED(status):  # its process is not gone before its tracer has heard of its end
                _, status = os.waitpid(self._tid, _WALL)

    def wait(self, seconds: float) -> None:
        """Wait for the end of the process."""
        self._tracer.join(seconds)
        assert not self._tracer.is_alive(), f"the process was still there after {seconds} s"


def _ptrace(request: int, tid: int) -> None:
    if _LIBC.ptrace(request, tid, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace of thread {tid}: {os.strerror(ctypes.get_errno())}")
