"""Process set-up: malloc arenas, return of freed memory, signals, and a bound on the time that stopping takes."""

from __future__ import annotations

import contextlib
import faulthandler
import mmap
import os
import signal
import socket

STOP_SECONDS = 4.5  # SIGTERM and SIGINT end the process within 5
RESERVED_DESCRIPTORS = 2  # a state file, and a module that is imported for the first time
RESERVED_BYTES = 8 << 20
TERMINATION = {signal.SIGTERM, signal.SIGINT}
_M_ARENA_MAX = -8  # malloc.h, mallopt(3)


def limit_arenas() -> None:
    """Limit glibc's malloc to one arena. To be called before any thread starts; no effect with another libc or without ctypes.

    By default each thread gets an arena of its own, and memory freed in one is not reused by the others. Contention costs nothing
    here, since the GIL serialises the threads anyway.
    """
    _call("mallopt", _M_ARENA_MAX, 1)


def trim_heap() -> None:
    """Return the pages of freed memory to the kernel, also those between blocks in use (malloc_trim(3)).

    Large short-lived allocations (a response body, a reading, a table that grows) leave holes that are slightly too small for the
    next one, and the heap would grow slowly.
    """
    _call("malloc_trim", 0)


def _call(name: str, *arguments: int) -> None:
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import ctypes  # noqa: PLC0415 — 0.4 MB, which the daemon pays for CAP_NET_RAW in any case; other commands need neither

        getattr(ctypes.CDLL(None), name)(*arguments)


def catch_signals() -> socket.socket:
    """Turn SIGTERM, SIGINT and SIGHUP into bytes on the returned socket, each byte a signal number.

    Python's handlers alone are not enough: the kernel may deliver a signal to any thread, and a main thread that sleeps on a lock is
    not woken (signal(7), Python's signal.set_wakeup_fd).
    """
    faulthandler.register(signal.SIGALRM, all_threads=True, chain=True)  # prints the stack of whatever hangs, then the default action
    reader, writer = socket.socketpair()
    os.set_blocking(writer.fileno(), False)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _on_signal)
    return reader


def _on_signal(number: int, _frame: object) -> None:
    if number in TERMINATION:
        signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)  # the kernel's timer: dump_traceback_later() would need a thread


class StopReserve:
    """A descriptor and address space for stopping, for a process that has none left. Address space that is not touched costs no memory."""

    def __init__(self) -> None:
        self._descriptors = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) for _ in range(RESERVED_DESCRIPTORS)]
        self._memory = mmap.mmap(-1, RESERVED_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def release(self) -> None:
        """Release all of it."""
        while self._descriptors:
            os.close(self._descriptors.pop())
        self._memory.close()
